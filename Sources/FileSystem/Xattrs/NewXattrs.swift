import Journal
import OCFS2Layout

/// Attributes that a new inode has from the start: inherited ACLs and security labels. All are stored in the
/// transaction that makes the inode: it is never seen without them.
struct NewXattrs {
    private(set) var list: [(key: XattrKey, value: [UInt8])] = []
    private let volume: MountedVolume

    init(_ volume: MountedVolume) {
        self.volume = volume
    }

    var isEmpty: Bool { list.isEmpty }

    mutating func add(_ index: XattrIndex, _ name: [UInt8], _ value: [UInt8]) {
        list.append((XattrKey(index, name, volume), value))
    }

    mutating func add(_ key: XattrKey, _ value: [UInt8]) {
        list.append((key, value))
    }

    /// Space and credits of ``store(in:_:_:)``, whether the dinode has room or not.
    var needs: (space: SpaceNeeds, credits: Int) {
        guard !isEmpty else { return (SpaceNeeds(), 0) }
        var space = SpaceNeeds(metadataBlocks: 1)
        var credits = Credits.suballocation + 3
        for (_, value) in list {
            let (more, moreCredits) = XattrSet.needs(forValueOf: value.count, volume)
            space.metadataBlocks += more.metadataBlocks
            space.clusters += more.clusters
            credits += moreCredits
        }
        return (space, credits)
    }

    /// Whether all of it fits an external block: the caller asks before it begins.
    var fitsBlock: Bool {
        let size = list.reduce(0) { $0 + XattrEntry.byteCount + $1.key.nameValueSize($1.value.count) }
        return size <= volume.blockSize - XattrBlock.storageOffset - XattrStorage.headerByteCount - XattrStorage.gap
    }

    /// Writes them to an inode that was just made, and stores its attributes.
    func store(
        in inode: Inode, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        guard !isEmpty else { return }
        let set = XattrSet(inode)
        let size = set.inlineSizePossible()
        if size > 0, list.contains(where: { set.fits($0.key.nameValueSize($0.value.count), inEmpty: size) }) {
            set.beginInlineArea(size)
        }
        inode.attributes.dynamicFeatures.insert(.hasXattr)
        inode.storeAttributes(handle)
        var outer: XattrHolder?
        for (key, value) in list {
            if let inline = try set.inlineHolder(), let index = inline.insert(key, valueSize: value.count) {
                try await set.store(value, at: index, of: inline, reservation, handle)
                continue
            }
            let holder: XattrHolder
            if let outer { holder = outer } else { holder = try await set.makeBlock(reservation, handle) }
            outer = holder
            guard let index = holder.insert(key, valueSize: value.count) else { throw .noSpace }
            try await set.store(value, at: index, of: holder, reservation, handle)
        }
    }
}

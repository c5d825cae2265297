import Journal
import LayoutKit
import OCFS2Layout

/// What a new inode holds at first.
enum NewContent {
    /// Nothing.
    case plain(FileType)
    case device(FileType, number: UInt32)
    case directory
    case symlink([UInt8])

    /// PATH_MAX without the NUL.
    static let targetByteCountMax = 4095

    var type: FileType {
        switch self {
        case .plain(let type), .device(let type, _): type
        case .directory: .directory
        case .symlink: .symlink
        }
    }

    /// Whether the content takes a cluster at once.
    func needsCluster(_ volume: MountedVolume) -> Bool {
        switch self {
        case .plain, .device: false
        case .directory: !volume.features.incompatible.contains(.inlineData)
        case .symlink(let target): target.count + 1 > volume.geometry.fastSymlinkCapacity
        }
    }

    /// Whether a directory has an index from the start.
    func needsIndex(_ volume: MountedVolume) -> Bool {
        guard case .directory = self else { return false }
        return !volume.features.incompatible.contains(.inlineData) && volume.features.hasIndexedDirectories
    }

    /// Blocks that ``write(to:parent:_:_:)`` changes.
    func credits(_ volume: MountedVolume) -> Int {
        guard needsCluster(volume) else { return 1 }
        let blockCount: Int
        switch self {
        case .symlink(let target): blockCount = (target.count + volume.blockSize) / volume.blockSize
        case .plain, .device, .directory: blockCount = 2 + Credits.suballocation
        }
        return 2 + blockCount + Credits.clusterAllocation + Credits.suballocation
    }

    /// Writes the content of an inode that was just made, and stores its attributes.
    func write(
        to inode: Inode, parent: UInt64, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        switch self {
        case .plain: return
        case .device(_, let number): inode.attributes.deviceNumber = UInt64(number)
        case .directory:
            try await writeDirectory(to: inode, parent: parent, reservation, handle)
        case .symlink(let target):
            try await write(target, to: inode, reservation, handle)
        }
        inode.storeAttributes(handle)
    }

    private func writeDirectory(
        to inode: Inode, parent: UInt64, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        let volume = inode.volume
        guard needsCluster(volume) else {
            let bytes = inode.dinode.beginInlineData(volume.geometry)
            DirectoryArea(bytes).initialize(own: inode.number, parent: parent)
            inode.attributes.dynamicFeatures.insert(.inlineData)
            inode.attributes.size = UInt64(bytes.count)
            return
        }
        if needsIndex(volume) { inode.attributes.dynamicFeatures.insert(.indexedDirectory) }
        inode.attributes.size = UInt64(volume.blockSize)
        inode.storeAttributes(handle)
        let number = try await claimCluster(for: inode, reservation, handle)
        let directory = try Directory(inode)
        let area = directory.area(of: volume.freshBlock(number, .directoryData))
        area.view.initialize(own: inode.number, parent: parent)
        directory.initializeTrailer(of: area, largestHole: try area.largestHole())
        handle.modify(area.block)
        guard needsIndex(volume) else { return }
        try directory.makeIndex(at: try await reservation.claimMetadataBlock(handle), of: area, handle)
    }

    /// Spec: ocfs2-disk 7.2.
    private func write(
        _ target: [UInt8], to inode: Inode, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        let volume = inode.volume
        inode.attributes.size = UInt64(target.count)
        guard needsCluster(volume) else {
            let content = inode.block.bytes.dropped(Dinode.contentOffset)
            content.clear(count: content.count)
            target.withUnsafeBytes { content.copyMemory(from: $0) }
            return
        }
        inode.storeAttributes(handle)
        let first = try await claimCluster(for: inode, reservation, handle)
        var done = 0
        var number = first
        while done <= target.count {
            let block = volume.freshBlock(number, .plain)
            let part = target[done..<min(target.count, done + volume.blockSize)]
            part.withUnsafeBytes { block.bytes.copyMemory(from: $0) }
            handle.modify(block)
            done += volume.blockSize
            number += 1
        }
    }

    /// The first cluster of the inode's data; its first block.
    private func claimCluster(
        for inode: Inode, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) -> UInt64 {
        let run = try await reservation.claimClusters(atMost: 1, handle)
        let number = inode.volume.geometry.firstBlock(ofCluster: run.cluster)
        try await ExtentTree(inode.volume, .data(inode)).insert(
            Extent(cpos: 0, count: 1, block: number), reservation, handle)
        return number
    }
}

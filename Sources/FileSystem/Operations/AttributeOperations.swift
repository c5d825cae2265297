import EngineKit
import Journal
import OCFS2Layout

/// Attributes of inodes and their flags.
extension MountedVolume {
    package func attributes(of inode: Inode) async throws(FileSystemError) -> NodeAttributes {
        try await inode.metaLock.acquire(.protectedRead)
        defer { inode.metaLock.release(.protectedRead) }
        try inode.requirePresent()
        return nodeAttributes(inode)
    }

    private func nodeAttributes(_ inode: Inode) -> NodeAttributes {
        let attributes = inode.attributes
        let clusters = UInt64(attributes.clusters) + (inode.data?.delayedClusters ?? 0)
        var sectorCount = clusters << UInt64(geometry.clusterSizeBits - 9)
        if inode.hasInlineData, inode.data?.isLeavingInline != true { sectorCount += (attributes.size + 511) / 512 }
        return NodeAttributes(
            number: inode.number, generation: inode.generation, mode: attributes.mode,
            linkCount: attributes.linkCount, uid: attributes.uid, gid: attributes.gid,
            deviceNumber: attributes.deviceNumber, size: attributes.size, sectorCount: sectorCount,
            accessTime: attributes.accessTime, modificationTime: attributes.modificationTime,
            changeTime: attributes.changeTime)
    }

    /// Answers with what the attributes are afterwards.
    ///
    /// The size goes through the file's data; the rest is one transaction. Errors: `notPermitted` for immutable and
    /// append-only files.
    package func setAttributes(
        of inode: Inode, to change: AttributeChange, caller: Caller
    ) async throws(FileSystemError) -> NodeAttributes {
        try requireWritable()
        if let size = change.size {
            guard !inode.isDirectory else { throw .isADirectory }
            guard inode.isRegular else { throw .invalidArgument }
            try inode.requireMovable()
            try await setSize(of: inode, to: size)
        }
        try await inode.lock(.exclusive)
        defer { inode.unlock(.exclusive) }
        guard change.changesAttributes else { return nodeAttributes(inode) }
        if change.isByOwner { try inode.requireAlterable() }
        if change.dropsPrivileges { try await removeCapabilities(of: inode) }
        var attributes = inode.attributes
        apply(change, to: &attributes)
        if change.mode != nil, try await setModeInACL(of: inode, attributes) {
            try await syncAttributesIfAsked(inode)
            return nodeAttributes(inode)
        }
        try await self.transaction(credits: Credits.inodeUpdate) { handle throws(FileSystemError) in
            inode.attributes.takeChanges(attributes)
            inode.storeAttributes(handle)
        }
        try await syncAttributesIfAsked(inode)
        return nodeAttributes(inode)
    }

    /// File capabilities go with the set-user-ID bit: after a write, truncation or change of owner. The caller holds
    /// the inode's lock exclusively.
    func removeCapabilities(of inode: Inode) async throws(FileSystemError) {
        guard inode.isRegular, inode.attributes.dynamicFeatures.contains(.hasXattr) else { return }
        let set = XattrSet(inode), key = XattrKey(.security, Array("capability".utf8), self)
        if try await set.find(key) != nil { try await set.remove(key) }
    }

    /// chmod of a file with an access ACL: both change together. False: there is none.
    private func setModeInACL(
        of inode: Inode, _ attributes: InodeAttributes
    ) async throws(FileSystemError) -> Bool {
        let set = XattrSet(inode)
        guard options.acl, var list = try await set.accessControlList(set.accessKey) else { return false }
        list.adopt(mode: attributes.mode)
        try await set.set(set.accessKey, to: list.stored, .replace) { $0.takeChanges(attributes) }
        return true
    }

    private func apply(_ change: AttributeChange, to attributes: inout InodeAttributes) {
        let now = environment.wallTime
        func time(_ wanted: AttributeChange.Time) -> WallTime {
            switch wanted {
            case .now: now
            case .at(let time): time
            }
        }
        if let uid = change.uid { attributes.uid = uid }
        if let gid = change.gid { attributes.gid = gid }
        if let mode = change.mode {
            attributes.mode = attributes.mode & FileMode.typeMask | mode & FileMode.permissionMask
        }
        let isDirectory = FileType(mode: attributes.mode) == .directory
        if !isDirectory, change.dropsPrivileges {
            attributes.mode = FileMode.withoutPrivileges(attributes.mode)
        }
        if let accessTime = change.accessTime { attributes.accessTime = time(accessTime) }
        if let modificationTime = change.modificationTime { attributes.modificationTime = time(modificationTime) }
        attributes.changeTime = change.changeTime ?? now
    }

    /// `FS_IOC_GETFLAGS`: the bits of ext2. Spec: ocfs2-disk 5.3.
    package func inodeFlags(of inode: Inode) async throws(FileSystemError) -> UInt32 {
        try await inode.metaLock.acquire(.protectedRead)
        defer { inode.metaLock.release(.protectedRead) }
        return inode.attributes.attributeFlags.rawValue
    }

    /// `FS_IOC_SETFLAGS`. Immutable and append-only need a privileged caller, the others the owner.
    package func setInodeFlags(
        of inode: Inode, to flags: UInt32, caller: Caller
    ) async throws(FileSystemError) {
        try requireWritable()
        try await inode.lock(.exclusive)
        defer { inode.unlock(.exclusive) }
        guard caller.isPrivileged || caller.uid == inode.attributes.uid else { throw .notPermitted }
        var allowed = DinodeAttributes.changeable
        if !inode.isDirectory { allowed.remove(.synchronousDirectory) }
        let current = inode.attributes.attributeFlags
        let wanted = DinodeAttributes(rawValue: flags).intersection(allowed).union(current.subtracting(allowed))
        let guarded: DinodeAttributes = [.immutable, .appendOnly]
        guard caller.isPrivileged || wanted.intersection(guarded) == current.intersection(guarded) else {
            throw .notPermitted
        }
        try await transaction(credits: Credits.inodeUpdate) { handle throws(FileSystemError) in
            inode.attributes.attributeFlags = wanted
            inode.attributes.changeTime = self.environment.wallTime
            inode.storeAttributes(handle)
        }
        try await syncAttributesIfAsked(inode)
    }
}

extension InodeAttributes {
    /// Takes over what ``AttributeChange`` can change; the rest may have changed meanwhile.
    fileprivate mutating func takeChanges(_ other: InodeAttributes) {
        mode = other.mode
        uid = other.uid
        gid = other.gid
        accessTime = other.accessTime
        modificationTime = other.modificationTime
        changeTime = other.changeTime
    }
}

extension AttributeChange {
    /// Anything but the size.
    fileprivate var changesAttributes: Bool {
        mode != nil || uid != nil || gid != nil || accessTime != nil || modificationTime != nil || changeTime != nil
            || dropsPrivilegeBits
    }

    /// Another owner, or a truncation by somebody without the right to keep them.
    fileprivate var dropsPrivileges: Bool {
        dropsPrivilegeBits || (mode == nil && (uid ?? gid) != nil)
    }

    /// What immutable and append-only files refuse: all but times that are set to now.
    fileprivate var isByOwner: Bool {
        if mode != nil || uid != nil || gid != nil { return true }
        return [accessTime, modificationTime].contains { time in
            switch time {
            case nil, .now: false
            case .at: true
            }
        }
    }
}

extension FileMode {
    /// After a write, truncation or change of owner by somebody else: set-group-ID stays where it means mandatory
    /// locking (no group execution).
    package static func withoutPrivileges(_ mode: UInt16) -> UInt16 {
        mode & ~(setUserID | (mode & groupExecute != 0 ? setGroupID : 0))
    }
}

extension DinodeAttributes {
    /// As ext2's user-modifiable mask. Spec: ocfs2-disk 5.3.
    static let changeable: DinodeAttributes = [
        .secureRemoval, .undelete, .compress, .synchronous, .immutable, .appendOnly, .noDump, .noAccessTime,
        .synchronousDirectory,
    ]
}

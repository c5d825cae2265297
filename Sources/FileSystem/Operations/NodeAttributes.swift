package import EngineKit

/// What `stat` tells of an inode.
package struct NodeAttributes: Equatable, Sendable {
    /// The inode's block; the root's too (FUSE calls that one 1).
    package var number: UInt64
    package var generation: UInt32
    /// Type and permissions.
    package var mode: UInt16
    package var linkCount: UInt32
    package var uid: UInt32
    package var gid: UInt32
    /// Encoded as on disk. Spec: ocfs2-disk 19 rule 5.
    package var deviceNumber: UInt64
    /// Bytes.
    package var size: UInt64
    /// Space in units of 512 bytes.
    package var sectorCount: UInt64
    package var accessTime: WallTime
    package var modificationTime: WallTime
    package var changeTime: WallTime

    package init(
        number: UInt64, generation: UInt32, mode: UInt16, linkCount: UInt32, uid: UInt32, gid: UInt32,
        deviceNumber: UInt64, size: UInt64, sectorCount: UInt64, accessTime: WallTime, modificationTime: WallTime,
        changeTime: WallTime
    ) {
        self.number = number
        self.generation = generation
        self.mode = mode
        self.linkCount = linkCount
        self.uid = uid
        self.gid = gid
        self.deviceNumber = deviceNumber
        self.size = size
        self.sectorCount = sectorCount
        self.accessTime = accessTime
        self.modificationTime = modificationTime
        self.changeTime = changeTime
    }
}

/// What chmod, chown, truncate and utimes ask for; nil: leave it.
package struct AttributeChange: Equatable, Sendable {
    package enum Time: Equatable, Sendable {
        case now
        case at(WallTime)
    }

    /// Permission bits; type bits are ignored.
    package var mode: UInt16?
    package var uid: UInt32?
    package var gid: UInt32?
    package var size: UInt64?
    package var accessTime: Time?
    package var modificationTime: Time?
    package var changeTime: WallTime?
    /// Take away set-user-ID and set-group-ID (FUSE's KILL_SUIDGID).
    package var dropsPrivilegeBits = false

    package init() {}
}

/// How a new object begins.
package struct NewNode: Sendable {
    /// Permission bits, and the type for ``MountedVolume/makeNode(_:in:_:deviceNumber:)``.
    package var mode: UInt16
    /// Applied unless the directory has a default ACL.
    package var umask: UInt16
    package var caller: Caller
    /// Labels that the kernel's security modules want stored with the object: full name (`security.selinux`) and value.
    package var securityAttributes: [(name: [UInt8], value: [UInt8])]

    package init(
        mode: UInt16, umask: UInt16 = 0, caller: Caller, securityAttributes: [(name: [UInt8], value: [UInt8])] = []
    ) {
        self.mode = mode
        self.umask = umask
        self.caller = caller
        self.securityAttributes = securityAttributes
    }
}

/// What `statfs` tells.
package struct VolumeStatistics: Equatable, Sendable {
    /// Bytes; the unit of the block counts.
    package var blockSize: UInt32
    package var blockCount: UInt64
    package var freeBlockCount: UInt64
    package var inodeCount: UInt64
    package var freeInodeCount: UInt64
    package var nameByteCountMax: UInt32

    package init(
        blockSize: UInt32, blockCount: UInt64, freeBlockCount: UInt64, inodeCount: UInt64, freeInodeCount: UInt64,
        nameByteCountMax: UInt32 = 255
    ) {
        self.blockSize = blockSize
        self.blockCount = blockCount
        self.freeBlockCount = freeBlockCount
        self.inodeCount = inodeCount
        self.freeInodeCount = freeInodeCount
        self.nameByteCountMax = nameByteCountMax
    }
}

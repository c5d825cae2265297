package import LayoutKit

/// The value block of an inode's metadata lock, version 5: the attributes, as the last one who changed them left them.
/// Spec: ocfs2-cluster 5.1.
package struct InodeValueBlock: FixedLayout, Equatable, Sendable {
    package static let byteCount = 64
    package static let version: UInt8 = 5

    package var dynamicFeatures: UInt16
    /// Clusters of the data tree.
    package var clusters: UInt32
    package var uid: UInt32
    package var gid: UInt32
    package var accessTime: DiskTime
    package var changeTime: DiskTime
    package var modificationTime: DiskTime
    /// Bytes.
    package var size: UInt64
    /// With type bits.
    package var mode: UInt16
    package var linkCount: UInt16
    /// `i_attr`
    package var flags: UInt32
    /// Of the inode. The block counts for an inode of this generation only.
    package var generation: UInt32

    package init(
        dynamicFeatures: UInt16, clusters: UInt32, uid: UInt32, gid: UInt32, accessTime: DiskTime, changeTime: DiskTime,
        modificationTime: DiskTime, size: UInt64, mode: UInt16, linkCount: UInt16, flags: UInt32, generation: UInt32
    ) {
        self.dynamicFeatures = dynamicFeatures
        self.clusters = clusters
        self.uid = uid
        self.gid = gid
        self.accessTime = accessTime
        self.changeTime = changeTime
        self.modificationTime = modificationTime
        self.size = size
        self.mode = mode
        self.linkCount = linkCount
        self.flags = flags
        self.generation = generation
    }

    private enum Field {
        static let version = U8(offset: 0)
        static let dynamicFeatures = BE16(offset: 2)
        static let clusters = BE32(offset: 4)
        static let uid = BE32(offset: 8)
        static let gid = BE32(offset: 12)
        static let accessTime = BE64(offset: 16)
        static let changeTime = BE64(offset: 24)
        static let modificationTime = BE64(offset: 32)
        static let size = BE64(offset: 40)
        static let mode = BE16(offset: 48)
        static let linkCount = BE16(offset: 50)
        static let flags = BE32(offset: 52)
        static let generation = BE32(offset: 56)
    }

    /// Errors: ``LayoutError/badValue(field:found:expected:)`` for another version; 0 is one that says nothing.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        guard bytes[Field.version] == Self.version else {
            throw .badValue(field: "version", found: UInt64(bytes[Field.version]), expected: "\(Self.version)")
        }
        dynamicFeatures = bytes[Field.dynamicFeatures]
        clusters = bytes[Field.clusters]
        uid = bytes[Field.uid]
        gid = bytes[Field.gid]
        accessTime = Self.time(bytes[Field.accessTime])
        changeTime = Self.time(bytes[Field.changeTime])
        modificationTime = Self.time(bytes[Field.modificationTime])
        size = bytes[Field.size]
        mode = bytes[Field.mode]
        linkCount = bytes[Field.linkCount]
        flags = bytes[Field.flags]
        generation = bytes[Field.generation]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        UnsafeMutableRawBufferPointer(rebasing: out[..<Self.byteCount]).initializeMemory(as: UInt8.self, repeating: 0)
        out[Field.version] = Self.version
        out[Field.dynamicFeatures] = dynamicFeatures
        out[Field.clusters] = clusters
        out[Field.uid] = uid
        out[Field.gid] = gid
        out[Field.accessTime] = Self.packed(accessTime)
        out[Field.changeTime] = Self.packed(changeTime)
        out[Field.modificationTime] = Self.packed(modificationTime)
        out[Field.size] = size
        out[Field.mode] = mode
        out[Field.linkCount] = linkCount
        out[Field.flags] = flags
        out[Field.generation] = generation
    }

    // 34 bits of seconds, 30 of nanoseconds.
    private static let secondsMax: Int64 = 0x3_ffff_ffff

    private static func packed(_ time: DiskTime) -> UInt64 {
        UInt64(min(max(time.seconds, 0), secondsMax)) << 30 | UInt64(time.nanoseconds & 0x3fff_ffff)
    }

    private static func time(_ packed: UInt64) -> DiskTime {
        DiskTime(seconds: Int64(packed >> 30), nanoseconds: min(UInt32(packed & 0x3fff_ffff), 999_999_999))
    }
}

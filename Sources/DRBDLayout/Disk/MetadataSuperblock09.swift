package import LayoutKit

/// What tools say about a superblock of metadata version 09, which is recognised and not attached.
/// Spec: drbd-disk-and-state 20.
package struct MetadataSuperblock09: Equatable, Sendable {
    private enum Field {
        static let deviceSectors = BE64(offset: 0), current = BE64(offset: 8), deviceUUID = BE64(offset: 48)
        static let flags = BE32(offset: 56), magic = BE32(offset: 60), peersMax = BE32(offset: 88)
        static let nodeID = BE32(offset: 92)
    }

    package var deviceSectors: UInt64
    package var current: UInt64
    package var deviceUUID: UInt64
    package var flags: UInt32
    /// Bitmaps that there is room for.
    package var peersMax: UInt32
    /// -1 while not set.
    package var nodeID: Int32

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(MetadataSuperblock.byteCount, of: bytes)
        let magic = bytes[Field.magic]
        guard magic == MetadataVersion.version09.rawValue else {
            throw .badMagic(found: UInt64(magic), expected: UInt64(MetadataVersion.version09.rawValue))
        }
        deviceSectors = bytes[Field.deviceSectors]
        current = bytes[Field.current]
        deviceUUID = bytes[Field.deviceUUID]
        flags = bytes[Field.flags]
        peersMax = bytes[Field.peersMax]
        nodeID = Int32(bitPattern: bytes[Field.nodeID])
        guard (1...31).contains(peersMax) else {
            throw .badValue(field: "bm_max_peers", found: UInt64(peersMax), expected: "1 to 31")
        }
    }
}

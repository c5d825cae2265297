/// Makes metadata of version 08 for the disks of a history, as `create-md` would leave it.
///
/// Written from the chapter and apart from the codecs of the engine, so that one error does not hide in both.
/// Spec: drbd-disk-and-state 2, 3, 5.1.
enum MetadataForge {
    static let activityLogSectors = 64
    static let superblockSectors = 8
    /// Sectors of a metadata device of its own.
    static let externalSectors: UInt64 = 4096

    enum Flag {
        static let consistent: UInt32 = 0x01
        static let primary: UInt32 = 0x02
        static let connected: UInt32 = 0x04
        static let fullSync: UInt32 = 0x08
        static let wasUpToDate: UInt32 = 0x10
        static let peerOutdated: UInt32 = 0x20
        static let crashedPrimary: UInt32 = 0x40
        static let activityLogClean: UInt32 = 0x80
        static let activityLogDisabled: UInt32 = 0x100
    }

    struct Contents {
        /// Current, bitmap, two of history.
        var uuids: [UInt64]
        var flags: UInt32
        /// Last agreed size in sectors; 0 is none.
        var agreedSectors: UInt64
        var deviceUUID: UInt64
    }

    /// Where the parts lie, in bytes on the device that holds them.
    struct Places: Equatable {
        var superblock: Int
        var activityLog: Int
        var bitmap: Int
        var sectorsOfAll: Int
        /// Of the superblock, in sectors.
        var activityLogOffset: Int32
        var bitmapOffset: Int32
    }

    private static func bitmapSectors(capacity: UInt64) -> UInt64 { (capacity + 262_143) / 262_144 * 8 }

    /// Sectors that hold data on a device with internal metadata.
    static func internalUsable(capacity: UInt64) -> UInt64 {
        capacity / 8 * 8 - 8 - 64 - bitmapSectors(capacity: capacity)
    }

    /// A device just large enough for so many sectors of data.
    static func internalCapacity(usable: UInt64) -> UInt64 {
        var capacity = (usable + 7) / 8 * 8 + 80
        while internalUsable(capacity: capacity) < usable { capacity += 8 }
        return capacity
    }

    static func places(isInternal: Bool, capacity: UInt64) -> Places {
        guard isInternal else {
            return Places(
                superblock: 0, activityLog: 8 * 512, bitmap: 72 * 512, sectorsOfAll: Int(capacity),
                activityLogOffset: 8, bitmapOffset: 72)
        }
        let superblock = Int(capacity / 8 * 8 - 8)
        let bitmap = Int(bitmapSectors(capacity: capacity))
        return Places(
            superblock: superblock * 512, activityLog: (superblock - 64) * 512,
            bitmap: (superblock - 64 - bitmap) * 512, sectorsOfAll: bitmap + 72, activityLogOffset: -64,
            bitmapOffset: Int32(-64 - bitmap))
    }

    /// The superblock, 4096 bytes.
    static func superblock(_ contents: Contents, at places: Places) -> [UInt8] {
        var bytes: [UInt8] = []
        func put32(_ value: UInt32) {
            for shift in [24, 16, 8, 0] { bytes.append(UInt8(value >> UInt32(shift) & 0xff)) }
        }
        func put64(_ value: UInt64) {
            put32(UInt32(value >> 32))
            put32(UInt32(value & 0xffff_ffff))
        }
        put64(contents.agreedSectors)
        for uuid in contents.uuids { put64(uuid) }
        put64(contents.deviceUUID)
        put64(0)
        put32(contents.flags)
        put32(0x8374_026b)
        put32(UInt32(places.sectorsOfAll))
        put32(UInt32(bitPattern: places.activityLogOffset))
        put32(257)
        put32(UInt32(bitPattern: places.bitmapOffset))
        put32(4096)
        put32(0)
        put32(1)
        put32(8)
        bytes.append(contentsOf: repeatElement(0, count: 4096 - bytes.count))
        return bytes
    }

    /// One block of the activity log without a transaction.
    static var emptyLogBlock: [UInt8] {
        [0x69, 0xcb, 0x65, 0xa2, 0, 0, 0, 0, 0x70, 0x9c, 0xc6, 0x51, 0xff, 0xff] + Array(repeating: 0, count: 4082)
    }

    static func write(_ contents: Contents, isInternal: Bool, to disk: SimulatedDisk) {
        let places = places(isInternal: isInternal, capacity: UInt64(disk.byteCount / 512))
        disk.preset(offset: places.superblock, superblock(contents, at: places))
        for block in 0..<8 { disk.preset(offset: places.activityLog + 4096 * block, emptyLogBlock) }
    }
}

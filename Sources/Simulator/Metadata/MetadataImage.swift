internal import LayoutKit

/// What the metadata on a disk says at one moment, read without the engine.
///
/// Spec: drbd-disk-and-state 3, 5.5, 6.
struct MetadataImage {
    var agreedSectors: UInt64
    var uuids: [UInt64]
    var flags: UInt32
    /// 4 MiB extents in slots of the activity log, as replay would find them.
    var logExtents: Set<UInt32>
    /// Bytes of the bitmap, bit b in byte b / 8.
    var bitmap: [UInt8]

    var isPrimary: Bool { flags & MetadataForge.Flag.primary != 0 }
    var needsFullSync: Bool { flags & MetadataForge.Flag.fullSync != 0 }
    var isConsistent: Bool { flags & MetadataForge.Flag.consistent != 0 }

    /// Nil where no superblock is.
    init?(disk: SimulatedDisk, isInternal: Bool, sectors: UInt64) {
        let places = MetadataForge.places(isInternal: isInternal, capacity: UInt64(disk.byteCount / 512))
        let block = disk.contents(offset: places.superblock, count: 512)
        let magic = Self.number32(block, 60)
        guard magic == 0x8374_026b || magic == 0x8374_026c else { return nil }
        agreedSectors = Self.number64(block, 0)
        uuids = [8, 16, 24, 32].map { Self.number64(block, $0) }
        flags = Self.number32(block, 56)
        logExtents = Self.replay(disk.contents(offset: places.activityLog, count: 8 * 4096))
        bitmap = disk.contents(offset: places.bitmap, count: Int((sectors + 63) / 64 + 511) / 512 * 512)
    }

    /// Whether a crash now leaves this 4 KiB block marked on this side.
    func covers(block: Int) -> Bool {
        if needsFullSync { return true }
        if bitmap[block / 8] & (1 << UInt8(block % 8)) != 0 { return true }
        return isPrimary && logExtents.contains(UInt32(block / 1024))
    }

    private static func number16(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        UInt32(bytes[offset]) << 8 | UInt32(bytes[offset + 1])
    }

    private static func number32(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        number16(bytes, offset) << 16 | number16(bytes, offset + 2)
    }

    private static func number64(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        UInt64(number32(bytes, offset)) << 32 | UInt64(number32(bytes, offset + 4))
    }

    /// The slots after all valid transactions, from the oldest to the newest.
    private static func replay(_ ring: [UInt8]) -> Set<UInt32> {
        var blocks: [(number: UInt32, bytes: [UInt8])] = []
        for index in 0..<ring.count / 4096 {
            var bytes = Array(ring[index * 4096..<(index + 1) * 4096])
            guard number32(bytes, 0) == 0x69cb_65a2, number16(bytes, 12) == 0 else { continue }
            let checksum = number32(bytes, 8)
            for offset in 8..<12 { bytes[offset] = 0 }
            guard bytes.withUnsafeBytes({ CRC32C.update(0, with: $0) }) == checksum else { continue }
            blocks.append((number32(bytes, 4), bytes))
        }
        blocks.sort { Int32(bitPattern: $0.number &- $1.number) < 0 }
        var slots: [UInt32: UInt32] = [:]
        for (_, bytes) in blocks {
            let size = number16(bytes, 16)
            let start = number16(bytes, 18)
            for index in 0..<919 {
                let slot = start + UInt32(index)
                let extent = number32(bytes, 420 + 4 * index)
                if slot < size || extent != .max { slots[slot] = extent }
            }
            for update in 0..<Int(number16(bytes, 14)) where update < 64 {
                slots[number16(bytes, 36 + 2 * update)] = number32(bytes, 164 + 4 * update)
            }
        }
        return Set(slots.values.filter { $0 != .max })
    }
}

internal import DRBDLayout
internal import LayoutKit

/// What `drbdmeta apply-al` does before a disk is attached after a crash. Spec: drbd-disk-and-state 5.5.
///
/// Reads and writes through the codecs that the real tool uses. The order (bitmap, log, superblock) does not matter
/// here: the tool is not interrupted.
enum OfflineTools {
    /// Returns how many extents were marked, or why it cannot be done.
    static func applyActivityLog(disk: SimulatedDisk, isInternal: Bool) -> Result<Int, Refusal> {
        let places = MetadataForge.places(isInternal: isInternal, capacity: UInt64(disk.byteCount / 512))
        disk.makeEverythingDurable()
        do throws(LayoutError) {
            let bytes = disk.contents(offset: places.superblock, count: MetadataSuperblock.byteCount)
            var superblock = try Self.decode(bytes)
            let wasPrimary = superblock.flags.contains(.primaryIndicator)
            let log = disk.contents(offset: places.activityLog, count: 8 * ActivityLogTransaction.byteCount)
            var marked = 0
            do throws(ActivityLogReplay.Unusable) {
                let replay = try Self.replay(log)
                if wasPrimary {
                    for extent in replay.extents { mark(extent, disk, places, sectors: superblock.deviceSectors) }
                    marked = replay.extents.count
                }
            } catch {
                if wasPrimary { return .failure(Refusal(reason: "\(error)")) }
            }
            for block in 0..<8 {
                disk.preset(offset: places.activityLog + 4096 * block, MetadataForge.emptyLogBlock)
            }
            superblock.flags.insert(.activityLogClean)
            superblock.hasUncleanMagic = false
            var out = [UInt8](repeating: 0, count: MetadataSuperblock.byteCount)
            out.withUnsafeMutableBytes { superblock.encode(into: $0) }
            disk.preset(offset: places.superblock, out)
            return .success(marked)
        } catch {
            return .failure(Refusal(reason: "\(error)"))
        }
    }

    struct Refusal: Error {
        var reason: String
    }

    private static func decode(_ bytes: [UInt8]) throws(LayoutError) -> MetadataSuperblock {
        let result = bytes.withUnsafeBytes { block in
            Result { () throws(LayoutError) in try MetadataSuperblock(decoding: block) }
        }
        return try result.get()
    }

    private static func replay(_ log: [UInt8]) throws(ActivityLogReplay.Unusable) -> ActivityLogReplay {
        let result = log.withUnsafeBytes { bytes in
            Result { () throws(ActivityLogReplay.Unusable) in try ActivityLogReplay(log: bytes, striping: .standard) }
        }
        return try result.get()
    }

    /// Sets the 1024 bits of an extent, as far as the device reaches.
    private static func mark(_ extent: UInt32, _ disk: SimulatedDisk, _ places: MetadataForge.Places, sectors: UInt64) {
        let bits = Int((sectors + 7) / 8)
        let first = Int(extent) * 1024
        guard first < bits else { return }
        let end = min(first + 1024, bits)
        var bytes = disk.contents(offset: places.bitmap + first / 8, count: 128)
        for bit in first..<end { bytes[(bit - first) / 8] |= 1 << UInt8(bit % 8) }
        disk.preset(offset: places.bitmap + first / 8, bytes)
    }
}

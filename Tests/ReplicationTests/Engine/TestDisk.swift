import DRBDLayout
import EngineKit
import Glibc
import LayoutKit
import Replication

/// A backing device in memory with a volatile cache: what is neither flushed nor written with FUA is lost with the power.
final class TestDisk {
    let sectorCount: Int
    private var content: [UInt8]
    private var stable: [UInt8]
    /// Ranges of bytes that differ between cache and medium.
    private var unflushed: [Range<Int>] = []
    /// Data operations at these sectors fail.
    var badSectors: Range<UInt64>?
    /// Operations of metadata fail.
    var hasBadMetadata = false
    /// Flushes fail, and what they should have made durable is forgotten as if it were.
    var failsFlushes = false
    /// Nothing completes while it is true.
    var isStuck = false

    init(sectorCount: Int) {
        self.sectorCount = sectorCount
        content = Array(repeating: 0, count: sectorCount * 512)
        stable = content
        formatMetadata()
    }

    /// Fresh internal metadata, as create-md writes it.
    func formatMetadata() {
        let geometry = geometry
        let superblock = MetadataSuperblock(geometry: geometry, deviceUUID: 0x1122_3344_5566_7788)
        put(at: geometry.superblockSector, count: 4096) { superblock.encode(into: $0) }
        for block in 0..<UInt64(geometry.striping.blockCount) {
            put(at: geometry.activityLogSector + 8 * block, count: 4096) {
                ActivityLogTransaction.empty.encode(into: $0)
            }
        }
    }

    var geometry: MetadataGeometry {
        let count = UInt64(sectorCount)
        guard
            let geometry = try? MetadataGeometry(
                placement: .internal, metadataDeviceSectors: count, dataDeviceSectors: count)
        else { fatalError("no metadata fits on \(count) sectors") }
        return geometry
    }

    var device: BackingDevice {
        BackingDevice(
            dataSectors: UInt64(sectorCount), metadataSectors: UInt64(sectorCount), metadataPlace: .internal)
    }

    /// The superblock on the medium.
    var superblock: MetadataSuperblock {
        let start = Int(geometry.superblockSector) * 512
        return stable[start..<start + 4096].withUnsafeBytes { bytes in
            guard let superblock = try? MetadataSuperblock(decoding: bytes) else { fatalError("no superblock") }
            return superblock
        }
    }

    /// Bits of the bitmap on the medium.
    var setBitCountOnDisk: Int {
        let start = Int(geometry.bitmapSector) * 512
        let count = Int(geometry.bitmapSectors) * 512
        return stable[start..<start + count].reduce(0) { $0 + $1.nonzeroBitCount }
    }

    func put(at sector: UInt64, count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        let range = Int(sector) * 512..<Int(sector) * 512 + count
        content.withUnsafeMutableBytes { fill(UnsafeMutableRawBufferPointer(rebasing: $0[range])) }
        for index in range { stable[index] = content[index] }
    }

    func bytes(sector: UInt64, count: Int) -> [UInt8] {
        Array(content[Int(sector) * 512..<Int(sector) * 512 + count])
    }

    /// Whether the first sectors read the same on both.
    func hasSameData(as other: TestDisk, sectors: UInt64) -> Bool {
        content.withUnsafeBytes { own in
            other.content.withUnsafeBytes { memcmp(own.baseAddress!, $0.baseAddress!, Int(sectors) * 512) == 0 }
        }
    }

    /// Carries out an operation; returns its error number.
    func perform(_ operation: DiskOperation) -> Int32 {
        let start = Int(operation.offset)
        let range = start..<start + operation.byteCount
        if operation.device.part == .metadata && hasBadMetadata { return 5 }
        if operation.device.part == .data, let badSectors, operation.byteCount > 0,
            badSectors.overlaps(operation.offset / 512..<UInt64(range.upperBound) / 512)
        {
            return 5
        }
        precondition(range.upperBound <= content.count, "operation beyond the device")
        switch operation.kind {
        case .read:
            operation.data!.bytes.copyBytes(from: content[range])
        case .write(let flushBefore, let forceUnitAccess):
            if flushBefore { flush() }
            content.replaceSubrange(range, with: UnsafeRawBufferPointer(operation.data!.bytes))
            if forceUnitAccess {
                stable.replaceSubrange(range, with: content[range])
            } else {
                unflushed.append(range)
            }
        case .flush:
            if failsFlushes {
                crash()
                return 5
            }
            flush()
        case .discard, .writeZeroes:
            for index in range { content[index] = 0 }
            unflushed.append(range)
        }
        return 0
    }

    private func flush() {
        for range in unflushed { stable.replaceSubrange(range, with: content[range]) }
        unflushed.removeAll()
    }

    /// The power goes: the cache is lost.
    func crash() {
        for range in unflushed { content.replaceSubrange(range, with: stable[range]) }
        unflushed.removeAll()
    }
}

/// crc32c for real, and a keyed digest that is good enough to tell secrets apart.
final class TestDigests: DigestProvider {
    func digest(_ algorithm: DigestAlgorithm, of bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var crc: UInt32 = 0xffff_ffff
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0x82f6_3b78 : crc >> 1 }
        }
        let value = ~crc
        let four = (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        return (0..<algorithm.byteCount).map { four[$0 % 4] }
    }

    func authenticationCode(_ algorithm: DigestAlgorithm, key: [UInt8], message: [UInt8]) -> [UInt8]? {
        guard algorithm != .crc32c else { return nil }
        return (key + message + key).withUnsafeBytes { digest(algorithm, of: $0) }
    }
}

import DRBDLayout
import EngineKit
import Testing

@testable import Simulator

@Suite("Metadata of histories")
struct MetadataForgeTests {
    private static func disk(sectors: UInt64) -> SimulatedDisk {
        SimulatedDisk(
            byteCount: Int(sectors) * 512, character: SimulatedDisk.Character(),
            random: SimulationRandom(seed: 1, stream: 1))
    }

    /// Sizes and places of drbd-disk-and-state 2 that were seen on real disks.
    @Test(
        "internal metadata lies where real disks have it",
        arguments: [(131_072, 130_992, 67_104_768), (264_192, 264_104, 135_262_208), (614_400, 614_304, 314_568_704)])
    func internalPlaces(capacity: UInt64, usable: UInt64, superblock: Int) {
        #expect(MetadataForge.internalUsable(capacity: capacity) == usable)
        #expect(MetadataForge.places(isInternal: true, capacity: capacity).superblock == superblock)
        let needed = MetadataForge.internalCapacity(usable: usable)
        #expect(needed <= capacity && MetadataForge.internalUsable(capacity: needed) >= usable)
    }

    @Test("the layer that the engine uses reads what the forge writes", arguments: [true, false])
    func superblock(isInternal: Bool) throws {
        let disk = Self.disk(sectors: 65_536)
        let contents = MetadataForge.Contents(
            uuids: [0x1111, 0x2222, 0x3333, 0x4444], flags: 0x91, agreedSectors: 5000, deviceUUID: 0x5555)
        MetadataForge.write(contents, isInternal: isInternal, to: disk)
        let places = MetadataForge.places(isInternal: isInternal, capacity: 65_536)
        let bytes = disk.contents(offset: places.superblock, count: 4096)
        let block = try bytes.withUnsafeBytes { try MetadataSuperblock(decoding: $0) }
        #expect(block.current == 0x1111 && block.bitmap == 0x2222 && block.history0 == 0x3333)
        #expect(block.history1 == 0x4444 && block.deviceSectors == 5000 && block.deviceUUID == 0x5555)
        #expect(block.flags.rawValue == 0x91 && block.isClean)
        #expect(Int(block.activityLogOffset) * 512 == places.activityLog - places.superblock)
        #expect(Int(block.bitmapOffset) * 512 == places.bitmap - places.superblock)
        let empty = disk.contents(offset: places.activityLog, count: 4096)
        #expect(try empty.withUnsafeBytes { try ActivityLogTransaction(decoding: $0) } == .empty)
    }

    @Test("an image covers marked blocks, and logged extents only on a Primary")
    func image() throws {
        let disk = Self.disk(sectors: 65_536)
        let places = MetadataForge.places(isInternal: false, capacity: 65_536)
        let log = ActivityLogTransaction(
            number: 3, slotCount: 67, contextStart: 0, updates: [.init(slot: 66, extent: 2)],
            context: Array(repeating: .max, count: 919))
        var block = [UInt8](repeating: 0, count: 4096)
        block.withUnsafeMutableBytes { log.encode(into: $0) }
        for flags: UInt32 in [0x11, 0x13] {
            MetadataForge.write(
                MetadataForge.Contents(uuids: [9, 0, 0, 0], flags: flags, agreedSectors: 60_000, deviceUUID: 1),
                isInternal: false, to: disk)
            disk.preset(offset: places.activityLog + 3 * 4096, block)
            disk.preset(offset: places.bitmap, [0b0000_0100])
            let image = try #require(MetadataImage(disk: disk, isInternal: false, sectors: 60_000))
            #expect(image.logExtents == [2])
            #expect(image.covers(block: 2) && !image.covers(block: 3))
            #expect(image.covers(block: 2048) == (flags == 0x13))
            #expect(!image.covers(block: 3 * 1024))
        }
    }

    @Test("a disk without metadata has no image")
    func noImage() {
        #expect(MetadataImage(disk: Self.disk(sectors: 8192), isInternal: false, sectors: 4096) == nil)
    }
}

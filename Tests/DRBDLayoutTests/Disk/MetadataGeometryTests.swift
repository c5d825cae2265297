import DRBDLayout
import Testing

@Suite struct MetadataGeometryTests {
    private struct Row: Sendable {
        let capacity, bitmapSectors: UInt64
        let metadataSectors: UInt32
        let bitmapOffset: Int32
        let superblockByte, usable: UInt64

        init(_ numbers: (UInt64, UInt64, UInt32, Int32, UInt64, UInt64)) {
            (capacity, bitmapSectors, metadataSectors, bitmapOffset, superblockByte, usable) = numbers
        }
    }

    // Spec: drbd-disk-and-state 2, the sizes that the kernel and the tool made.
    private static let rows = [
        Row((131_072, 8, 80, -72, 67_104_768, 130_992)),
        Row((262_144, 8, 80, -72, 134_213_632, 262_064)),
        Row((264_192, 16, 88, -80, 135_262_208, 264_104)),
        Row((614_400, 24, 96, -88, 314_568_704, 614_304)),
        Row((2_000_000, 64, 136, -128, 1_023_995_904, 1_999_864)),
        Row((2_097_152, 64, 136, -128, 1_073_737_728, 2_097_016)),
        Row((2_411_265, 80, 152, -144, 1_234_563_072, 2_411_112)),
        Row((20_971_520, 640, 712, -704, 10_737_414_144, 20_970_808)),
        Row((2_147_483_648, 65_536, 65_608, -65_600, 1_099_511_623_680, 2_147_418_040)),
        Row((8_589_934_592, 262_144, 262_216, -262_208, 4_398_046_507_008, 8_589_672_376)),
    ]

    @Test("internal metadata of every size lies where the tool puts it", arguments: rows)
    private func internalSizes(row: Row) throws {
        let geometry = try MetadataGeometry(
            placement: .internal, metadataDeviceSectors: row.capacity, dataDeviceSectors: row.capacity)
        #expect(geometry.superblockSector * 512 == row.superblockByte)
        #expect(geometry.metadataSectors == row.metadataSectors)
        #expect(geometry.activityLogOffset == -64)
        #expect(geometry.bitmapOffset == row.bitmapOffset)
        #expect(geometry.bitmapSectors == row.bitmapSectors)
        #expect(geometry.usableSectors == row.usable)
        #expect(geometry.firstSector == row.usable)
        // What was laid out passes the checks of attach and comes back.
        let superblock = MetadataSuperblock(geometry: geometry, deviceUUID: 1)
        let checked = try MetadataGeometry(
            checking: superblock, placement: .internal, metadataDeviceSectors: row.capacity,
            dataDeviceSectors: row.capacity)
        #expect(checked == geometry)
    }

    @Test("flexible external metadata, and what its bitmap can cover")
    func flexibleExternal() throws {
        let geometry = try MetadataGeometry(
            placement: .flexibleExternal, metadataDeviceSectors: 2048, dataDeviceSectors: 100_000_000)
        #expect(geometry.superblockSector == 0)
        #expect(geometry.activityLogSector == 8)
        #expect(geometry.bitmapSector == 72)
        #expect(geometry.metadataSectors == 2048)
        #expect(geometry.usableSectors == (2048 - 72) * 32768)
        let small = try MetadataGeometry(
            placement: .flexibleExternal, metadataDeviceSectors: 2048, dataDeviceSectors: 614_400)
        #expect(small.usableSectors == 614_400)
        let checked = try MetadataGeometry(
            checking: MetadataSuperblock(geometry: small, deviceUUID: 1), placement: .flexibleExternal,
            metadataDeviceSectors: 2048, dataDeviceSectors: 614_400)
        #expect(checked == small)
    }

    @Test("indexed metadata lies in its slot")
    func indexed() throws {
        let geometry = try MetadataGeometry(
            placement: .indexed(2), metadataDeviceSectors: 3 * 262_144, dataDeviceSectors: 10_000_000_000)
        #expect(geometry.superblockSector == 524_288)
        #expect(geometry.activityLogSector == 524_296)
        #expect(geometry.bitmapSector == 524_360)
        #expect(geometry.usableSectors == 8_587_575_296)
        #expect(geometry.bitmapSectors == 262_072)
        let checked = try MetadataGeometry(
            checking: MetadataSuperblock(geometry: geometry, deviceUUID: 1), placement: .indexed(2),
            metadataDeviceSectors: 3 * 262_144, dataDeviceSectors: 10_000_000_000)
        #expect(checked == geometry)
    }

    @Test(
        "a device without room for metadata is refused with error 112",
        arguments: [
            (MetadataPlacement.internal, UInt64(2047)), (.internal, 0), (.flexibleExternal, 2047),
            (.indexed(0), 262_143), (.indexed(1), 524_287),
        ] as [(MetadataPlacement, UInt64)])
    func tooSmall(placement: MetadataPlacement, sectors: UInt64) {
        let error = #expect(throws: MetadataDefect.self) {
            try MetadataGeometry(
                placement: placement, metadataDeviceSectors: sectors, dataDeviceSectors: sectors)
        }
        #expect(error?.kind == .deviceTooSmall)
        #expect(error?.attachErrorNumber == 112)
    }

    @Test("a log that leaves no data is refused, and so is a device beyond 32-bit offsets")
    func extremes() throws {
        let large = try #require(ActivityLogStriping(stripes: 4, stripeBlocks: 64))
        #expect(throws: MetadataDefect.self) {
            try MetadataGeometry(
                placement: .internal, metadataDeviceSectors: 2048, dataDeviceSectors: 2048, striping: large)
        }
        for placement in [MetadataPlacement.internal, .flexibleExternal] {
            let error = #expect(throws: MetadataDefect.self) {
                try MetadataGeometry(placement: placement, metadataDeviceSectors: .max, dataDeviceSectors: .max)
            }
            #expect(error?.kind == .deviceTooLarge)
        }
        #expect(throws: MetadataDefect.self) {
            try MetadataGeometry(
                placement: .indexed(0), metadataDeviceSectors: 262_144, dataDeviceSectors: 4096, striping: large)
        }
    }

    // Spec: drbd-disk-and-state 9.3: `--al-stripes=2 --al-stripe-size-kB=32` on 64 MiB.
    @Test("a striped log shifts the bitmap")
    func striped() throws {
        let striping = try #require(ActivityLogStriping(stripes: 2, stripeBlocks: 8))
        let geometry = try MetadataGeometry(
            placement: .internal, metadataDeviceSectors: 131_072, dataDeviceSectors: 131_072, striping: striping)
        #expect(geometry.metadataSectors == 144)
        #expect(geometry.activityLogOffset == -128)
        #expect(geometry.bitmapOffset == -136)
        #expect(geometry.usableSectors == 130_928)
    }
}

@Suite struct ActivityLogStripingTests {
    // Spec: drbd-disk-and-state 5.4.
    @Test("transactions go around the stripes")
    func order() throws {
        let striped = try #require(ActivityLogStriping(stripes: 4, stripeBlocks: 16))
        #expect((0..<5).map { striped.block(ofTransaction: $0) } == [0, 16, 32, 48, 1])
        #expect((7..<11).map { ActivityLogStriping.standard.block(ofTransaction: $0) } == [7, 0, 1, 2])
        #expect(Set((0..<64).map { striped.block(atRingPosition: $0) }).count == 64)
    }

    @Test("the log holds 8 blocks to 16 GiB, and at most one context less than its blocks")
    func limits() {
        #expect(ActivityLogStriping(stripes: 1, stripeBlocks: 7) == nil)
        #expect(ActivityLogStriping(stripes: 0, stripeBlocks: 8) == nil)
        #expect(ActivityLogStriping(stripes: .max, stripeBlocks: .max) == nil)
        #expect(ActivityLogStriping(stripes: 2048, stripeBlocks: 2048) != nil)
        #expect(ActivityLogStriping.standard.extentCountMax == 6433)
        #expect(ActivityLogStriping(stripes: 1, stripeBlocks: 73)?.extentCountMax == 65534)
    }

    @Test("a transaction's sector follows from superblock and offset")
    func sector() throws {
        let geometry = try MetadataGeometry(
            placement: .internal, metadataDeviceSectors: 614_400, dataDeviceSectors: 614_400)
        // Spec: drbd-disk-and-state 5.4: transaction 10 went to block 2.
        #expect(geometry.sector(ofTransaction: 10) == 614_392 - 64 + 16)
    }
}

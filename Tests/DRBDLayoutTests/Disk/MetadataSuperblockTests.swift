import DRBDLayout
import LayoutKit
import Testing

@Suite struct MetadataSuperblockTests {
    /// A 300 MiB disk just after create-md. Spec: drbd-disk-and-state 3.
    private static let fresh: [UInt8] =
        hex(
            """
            0000 0000 0000 0000 0000 0000 0000 0004
            0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000
            03d5 c93b b5f5 7925 0000 0000 0000 0000 0000 0080 8374 026b
            0000 0060 ffff ffc0 0000 0101 ffff ffa8 0000 1000 0000 0000 0000 0001 0000 0008
            """) + zeroes(4000)
    private static let capacity: UInt64 = 614_400

    private static func geometry() throws -> MetadataGeometry {
        try MetadataGeometry(
            placement: .internal, metadataDeviceSectors: capacity, dataDeviceSectors: capacity)
    }

    @Test("fresh metadata has the bytes that the tool writes")
    func freshBytes() throws {
        let superblock = MetadataSuperblock(geometry: try Self.geometry(), deviceUUID: 0x03d5_c93b_b5f5_7925)
        try expectGolden(Self.fresh, is: superblock)
        #expect(superblock.isClean)
    }

    @Test("the same block after attach and connect")
    func runningBytes() throws {
        var superblock = try MetadataSuperblock.decode(Self.fresh)
        superblock.deviceSectors = 614_304
        superblock.flags = [.connectedIndicator, .peerOutdated]
        superblock.hasUncleanMagic = true
        superblock.activityLogExtents = 1237
        superblock.peerRequestByteCountMax = 1 << 20
        var expected = Self.fresh
        expected.replaceSubrange(0..<8, with: hex("0000 0000 0009 5fa0"))
        expected.replaceSubrange(0x38..<0x40, with: hex("0000 0024 8374 026c"))
        expected.replaceSubrange(0x48..<0x4c, with: hex("0000 04d5"))
        expected.replaceSubrange(0x54..<0x58, with: hex("0010 0000"))
        try expectGolden(expected, is: superblock)
        #expect(!superblock.isClean)
    }

    @Test("metadata is clean only with the tools' magic and the flag")
    func clean() throws {
        var superblock = try MetadataSuperblock.decode(Self.fresh)
        superblock.flags.remove(.activityLogClean)
        #expect(!superblock.isClean)
        superblock.flags.insert(.activityLogClean)
        superblock.hasUncleanMagic = true
        #expect(!superblock.isClean)
    }

    @Test(
        "other versions are recognised and refused by name",
        arguments: [
            ("8374026a", MetadataVersion.version07, "v07 metadata found"),
            ("8374026d", .version09, "v09 metadata found"),
            ("12345678", nil, "no superblock at sector 614392: magic 0x12345678 found"),
        ] as [(String, MetadataVersion?, String)])
    func otherVersions(magic: String, version: MetadataVersion?, text: String) {
        var block = Self.fresh
        block.replaceSubrange(60..<64, with: hex(magic))
        block.withUnsafeBytes { bytes in
            #expect(MetadataVersion.recognise(bytes) == version)
            let error = #expect(throws: MetadataDefect.self) {
                try MetadataSuperblock(decoding: bytes, sector: 614_392)
            }
            #expect(error?.kind == .otherMagic(version))
            #expect(error?.description.contains(text) == true)
            #expect(error?.attachErrorNumber == 119)
        }
        #expect(throws: LayoutError.self) { try MetadataSuperblock.decode(block) }
    }

    @Test("a block cut short is no superblock")
    func cut() {
        Array(Self.fresh.dropLast()).withUnsafeBytes { bytes in
            #expect(MetadataVersion.recognise(bytes) == nil)
            #expect(throws: MetadataDefect.self) { try MetadataSuperblock(decoding: bytes, sector: 0) }
        }
    }

    /// A change of one field, and the field that the refusal names. Spec: drbd-disk-and-state 2.1.
    private static let hostile: [(String, @Sendable (inout MetadataSuperblock) -> Void)] = [
        ("bm_bytes_per_bit", { $0.bytesPerBit = 8192 }),
        ("al_stripes", { $0.activityLogStripes = 0 }),
        ("al_stripe_size_4k", { $0.activityLogStripeSize = 0 }),
        ("al_stripes", { $0.activityLogStripeSize = 7 }),
        ("al_stripes", { $0.activityLogStripes = .max }),
        ("al_offset", { $0.activityLogOffset = -56 }),
        ("al_offset", { $0.activityLogOffset = 0 }),
        ("al_offset", { $0.activityLogOffset = 8 }),
        ("al_offset", { $0.activityLogOffset = .min }),
        ("bm_offset", { $0.bitmapOffset = -56 }),
        ("bm_offset", { $0.bitmapOffset = -89 }),
        ("bm_offset", { $0.bitmapOffset = 72 }),
        ("bm_offset", { $0.bitmapOffset = .min }),
        ("md_size_sect", { $0.metadataSectors = .max }),
        ("md_size_sect", { $0.metadataSectors = 104 }),
        ("la_size_sect", { $0.deviceSectors = .max }),
        ("la_size_sect", { $0.deviceSectors = 24 * 32768 + 1 }),
    ]

    @Test("each contradicting field is refused by name", arguments: hostile.indices)
    func contradictions(index: Int) throws {
        let (field, change) = Self.hostile[index]
        var superblock = try MetadataSuperblock.decode(Self.fresh)
        change(&superblock)
        let error = #expect(throws: MetadataDefect.self) {
            try MetadataGeometry(
                checking: superblock, placement: .internal, metadataDeviceSectors: Self.capacity,
                dataDeviceSectors: Self.capacity)
        }
        #expect(error?.field == field)
        #expect(error?.sector == 614_392)
        #expect(error?.attachErrorNumber == 119)
    }

    @Test("a refusal says what was found where")
    func refusalText() throws {
        var superblock = try MetadataSuperblock.decode(Self.fresh)
        superblock.activityLogOffset = -56
        let error = #expect(throws: MetadataDefect.self) {
            try MetadataGeometry(
                checking: superblock, placement: .internal, metadataDeviceSectors: Self.capacity,
                dataDeviceSectors: Self.capacity)
        }
        #expect(error?.description == "superblock at sector 614392: al_offset is -56, expected -64")
    }

    @Test(
        "external and indexed metadata with foreign offsets are refused",
        arguments: [
            (.flexibleExternal, 16, 72, 2048), (.flexibleExternal, 8, 64, 2048), (.flexibleExternal, 8, 76, 2048),
            (.flexibleExternal, 8, 72, 72), (.flexibleExternal, 8, 72, 300_000), (.indexed(0), 8, 80, 262_144),
            (.indexed(0), 8, 72, 262_136), (.indexed(0), -64, 72, 262_144), (.indexed(0), -64, -88, 96),
        ] as [(MetadataPlacement, Int32, Int32, UInt32)])
    func externalOffsets(placement: MetadataPlacement, log: Int32, bitmap: Int32, size: UInt32) throws {
        var superblock = try MetadataSuperblock.decode(Self.fresh)
        superblock.activityLogOffset = log
        superblock.bitmapOffset = bitmap
        superblock.metadataSectors = size
        #expect(throws: MetadataDefect.self) {
            try MetadataGeometry(
                checking: superblock, placement: placement, metadataDeviceSectors: 262_144,
                dataDeviceSectors: 614_400)
        }
    }

    @Test("both striping fields 0 mean the standard log")
    func unsetStriping() throws {
        var superblock = try MetadataSuperblock.decode(Self.fresh)
        superblock.activityLogStripes = 0
        superblock.activityLogStripeSize = 0
        let geometry = try MetadataGeometry(
            checking: superblock, placement: .internal, metadataDeviceSectors: Self.capacity,
            dataDeviceSectors: Self.capacity)
        #expect(geometry.striping == .standard)
    }

    // Spec: drbd-disk-and-state 20.
    @Test("version 09 tells its identity")
    func version09() throws {
        var block = zeroes(4096)
        block.replaceSubrange(8..<16, with: hex("0000000000000004"))
        block.replaceSubrange(60..<64, with: hex("8374026d"))
        block.replaceSubrange(88..<96, with: hex("00000003 ffffffff"))
        let superblock = try block.withUnsafeBytes { (bytes) throws(LayoutError) in
            try MetadataSuperblock09(decoding: bytes)
        }
        #expect(superblock.current == 4)
        #expect(superblock.peersMax == 3)
        #expect(superblock.nodeID == -1)
        block[91] = 32
        #expect(throws: LayoutError.badValue(field: "bm_max_peers", found: 32, expected: "1 to 31")) {
            try block.withUnsafeBytes { (bytes) throws(LayoutError) in try MetadataSuperblock09(decoding: bytes) }
        }
        #expect(throws: LayoutError.self) {
            try Self.fresh.withUnsafeBytes { (bytes) throws(LayoutError) in
                try MetadataSuperblock09(decoding: bytes)
            }
        }
    }
}

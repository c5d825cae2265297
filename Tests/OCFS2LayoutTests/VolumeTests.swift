import LayoutKit
import OCFS2Layout
import Testing

@Suite struct VolumeGeometryTests {
    // Spec: ocfs2-disk 5.4.
    @Test(
        "capacities are those of the table",
        arguments: [
            (512, [19, 3, 28, 312, 320, 304, 39, 448, 11, 29, 19, 19, 27, 23]),
            (1024, [51, 35, 60, 824, 832, 816, 103, 960, 43, 61, 51, 51, 59, 55]),
            (2048, [115, 99, 124, 1848, 1856, 1840, 231, 1984, 107, 125, 115, 115, 123, 119]),
            (4096, [243, 227, 252, 3896, 3904, 3888, 487, 4032, 235, 253, 243, 243, 251, 247]),
        ])
    func capacities(blockSize: Int, expected: [Int]) throws {
        let volume = try geometry(blockSize)
        #expect(
            [
                volume.dinodeExtentCapacity, volume.dinodeExtentCapacity(xattrInlineSize: 256),
                volume.extentBlockCapacity, volume.inlineDataCapacity, volume.fastSymlinkCapacity,
                volume.localAllocBitmapSize, volume.truncateLogCapacity, volume.clusterGroupBitmapSize,
                volume.groupExtentCapacity, volume.indexLeafCapacity, volume.indexRootEntryCapacity,
                volume.indexRootExtentCapacity, volume.xattrRootExtentCapacity, volume.refcountCapacity,
            ] == expected)
        #expect(volume.chainCapacity == volume.dinodeExtentCapacity)
    }

    // Spec: ocfs2-disk-2 B.4.
    @Test("clusters find their groups")
    func groups() throws {
        let small = try geometry(1024)
        #expect(small.clustersPerGroup == 7680)
        #expect(small.clusterGroup(ofCluster: 20000) == 2)
        #expect(small.clusterGroupBit(ofCluster: 20000) == 4640)
        #expect(small.descriptorBlock(ofClusterGroup: 2) == 61440)
        let large = try geometry(4096)
        #expect(large.clusterGroup(ofCluster: 40000) == 1)
        #expect(large.clusterGroupBit(ofCluster: 40000) == 7744)
        #expect(large.descriptorBlock(ofClusterGroup: 1) == 32256)
        let double = try geometry(4096, 8192)
        #expect(double.clusterGroupBit(ofCluster: 5) == 5)
        #expect(double.descriptorBlock(ofClusterGroup: 0) == 4)
        let tiny = try geometry(512)
        #expect(
            (0..<tiny.clusterGroupCount(clusters: 16384)).map { tiny.descriptorBlock(ofClusterGroup: $0) }
                == [8, 28672, 57344, 86016, 114688])
        #expect(small.clusterGroupCount(clusters: 76800) == 10)
    }

    @Test("bytes, blocks and clusters convert, rounded up where said")
    func conversions() throws {
        let volume = try geometry(1024, 4096)
        #expect(volume.firstBlock(ofCluster: .max) == 4 * 0xffff_ffff)
        #expect(volume.cluster(ofBlock: 4 * 0xffff_ffff + 3) == .max)
        #expect(volume.cluster(ofBlock: .max) == .max)
        #expect(volume.clusters(coveringBytes: 0) == 0)
        #expect(volume.clusters(coveringBytes: 4097) == 2)
        #expect(volume.clusters(coveringBlocks: 4) == 1)
        #expect(volume.blocks(coveringBytes: .max) == 1 << 54)
        #expect(volume.suballocatorClustersPerGroup == 512)
        #expect(try geometry(512, 1 << 20).suballocatorClustersPerGroup == 1)
        #expect(try geometry(4096, 1 << 20).suballocatorClustersPerGroup == 4)
    }

    @Test("sizes that the format lacks are refused", arguments: [(8, 12), (13, 13), (9, 11), (12, 21), (-1, 12)])
    func badSizes(blockBits: Int, clusterBits: Int) {
        #expect(throws: LayoutError.self) {
            try VolumeGeometry(blockSizeBits: blockBits, clusterSizeBits: clusterBits)
        }
    }
}

@Suite struct SuperblockTests {
    @Test("a superblock with every feature decodes and encodes to the same bytes")
    func golden() throws {
        let superblock = try reading(SmallVolume.superblock) { try Superblock(decoding: $0) }
        let parameters = superblock.parameters
        #expect(parameters.geometry == (try geometry(512, 4096)))
        #expect(parameters.clusterCount == 16384)
        #expect(parameters.generation == 0x49d0_446b)
        #expect(parameters.features.incompatible.rawValue == 0xbf58)
        #expect(parameters.features.readOnlyCompatible == .known)
        #expect(parameters.slotCount == 2)
        #expect(parameters.rootBlock == 17)
        #expect(parameters.systemDirectoryBlock == 18)
        #expect(parameters.uuidHash == 0x7a03_7a03)
        #expect(parameters.xattrInlineSize == 256)
        #expect(parameters.indexSeed == IndexSeed(0x86c1_782e, 0xbc50_536b, 0x51bf_c2b7))
        #expect(superblock.uuid.hexadecimalText == "0123456789ABCDEF0123456789ABCDEF")
        #expect(superblock.clusterInfo == nil)
        #expect(block(512) { superblock.encode(into: $0) } == SmallVolume.superblock)
    }

    @Test("one byte less than the fields is refused")
    func shortened() {
        #expect(throws: LayoutError.truncated(need: 512, have: 511)) {
            try reading(SmallVolume.superblock.dropLast()) { _ = try Superblock(decoding: $0) }
        }
    }

    @Test("a volume is found at every block size, and its backups only by their own number")
    func probing() throws {
        for blockSize in [512, 1024, 2048, 4096] {
            let superblock = Superblock(
                parameters: try parameters(blockSize), uuid: .zero, label: "web",
                clusterInfo: nil, formatTime: 5)
            let start = block(12288) { superblock.encode(into: $0.part(offset: 2 * blockSize, count: blockSize)) }
            let found = try reading(start) { try Superblock.probe($0) }
            #expect(found == superblock)
        }
        #expect(try reading([UInt8](repeating: 2, count: 12288)) { try Superblock.probe($0) } == nil)
        #expect(try reading([]) { try Superblock.probe($0) } == nil)
        var backup = try reading(SmallVolume.superblock) { try Superblock(decoding: $0) }
        backup.block = 2_097_152
        let bytes = block(512) { backup.encode(into: $0) }
        #expect(try reading(bytes) { try Superblock(decoding: $0, block: 2_097_152) } == backup)
        #expect(throws: LayoutError.badValue(field: "i_blkno", found: 2_097_152, expected: "2")) {
            try reading(bytes) { _ = try Superblock(decoding: $0) }
        }
    }

    @Test("a damaged superblock is reported, not overlooked")
    func damaged() {
        var start = [UInt8](repeating: 0, count: 1024) + SmallVolume.superblock + [UInt8](repeating: 0, count: 512)
        start[1024 + 0x1f0] = 1
        #expect(throws: LayoutError.badChecksum(of: "superblock", found: 0xe002_1de8, expected: 0x4e6a_8c79)) {
            try reading(start) { _ = try Superblock.probe($0) }
        }
    }

    @Test(
        "values that no volume can have are refused",
        arguments: [
            (0xc0, 1, "revision"), (0xc2, 91, "revision"), (0xf8, 13, "s_blocksize_bits"),
            (0xf8, 8, "s_blocksize_bits"), (0xfc, 21, "s_clustersize_bits"), (0x50, 3, "i_blkno"),
            (0x100, 0, "s_max_slots"), (0x101, 1, "s_max_slots"), (0xe8, 0, "s_root_blkno"),
            (0xf7, 1, "s_system_dir_blkno"), (0x10f, 1, "s_first_cluster_group"),
        ])
    func hostile(offset: Int, value: UInt8, field: String) {
        var bytes = SmallVolume.superblock
        bytes[offset] = value
        #expect {
            try reading(bytes) { _ = try Superblock(decoding: $0) }
        } throws: { error in
            guard case LayoutError.badValue(let found, _, _) = error else { return false }
            return found == field
        }
    }

    @Test("cluster info: what follows the NUL of the name is ignored")
    func clusterInfo() throws {
        var features = defaultFeatures
        features.incompatible.insert(.clusterInfo)
        let info = Superblock.ClusterInfo(stack: "o2cb", hasGlobalHeartbeat: true, clusterName: "web")
        let superblock = Superblock(
            parameters: try parameters(features: features), uuid: .zero, label: "", clusterInfo: info, formatTime: 0)
        var bytes = block(1024) { superblock.encode(into: $0) }
        bytes[0x16c] = 5
        #expect(try reading(bytes) { try Superblock(decoding: $0) } == superblock)
        bytes[0x162] = 0
        #expect(throws: LayoutError.badText(field: "ci_stack", reason: "not four characters")) {
            try reading(bytes) { _ = try Superblock(decoding: $0) }
        }
    }

    // Spec: ocfs2-disk 2.5, ocfs2-disk-2 B.2.
    @Test(
        "the hash of the UUID",
        arguments: [
            ("D4866E46830F4EC79833EB6583818728", 0x31a0_165d), ("FFC0ACD39ECE4F48B69D912ABBF01EF0", 0x1cc8_27f3),
            ("552A278E31E04A1C9FF3F8C70F274236", 0xc77c_ee75), ("00000000000000000000000000000000", 0),
            ("00000000-0000-0000-0000-000000000001", 1), ("0123456789ABCDEF0123456789abcdef", 0x7a03_7a03),
            ("ffffffffffffffffffffffffffffffff", 0xbde8_bde8),
        ] as [(String, UInt32)])
    func uuidHash(text: String, hash: UInt32) throws {
        let uuid = try #require(FixedBytes16(hexadecimalText: text))
        #expect(UUIDHash.compute(uuid) == hash)
        #expect(FixedBytes16(hexadecimalText: uuid.hexadecimalText) == uuid)
        #expect(FixedBytes16(hexadecimalText: String(text.dropLast())) == nil)
    }

    @Test("backups lie at powers of four from 1 GiB on, inside the volume")
    func backups() throws {
        let large = try geometry(4096)
        #expect(Superblock.backupBlocks(geometry: large, blockCount: 1 << 18) == [])
        #expect(Superblock.backupBlocks(geometry: large, blockCount: 10 << 18) == [1 << 18, 1 << 20])
        #expect(Superblock.backupBlocks(geometry: large, blockCount: .max).count == 6)
    }
}

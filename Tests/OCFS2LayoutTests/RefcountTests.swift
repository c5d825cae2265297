import LayoutKit
import OCFS2Layout
import Testing

@Suite struct RefcountTests {
    private func makeBlock(
        _ volume: VolumeParameters, parent: UInt64? = nil, _ records: [RefcountRecord] = []
    ) -> [UInt8] {
        block(volume.blockSize) { bytes in
            RefcountBlock.initialize(
                bytes, block: 900, generation: 0x51ba_c0c3, parent: parent, Suballocation(slot: 0, bit: 9, group: 0),
                volume)
            let list = RefcountBlock.records(bytes)
            for (index, record) in records.enumerated() { list.insert(record, at: index) }
        }
    }

    // Spec: ocfs2-disk-2 17.1.
    @Test("records of a real tree lie where the chapter says")
    func records() throws {
        let volume = try parameters()
        let bytes = makeBlock(
            volume,
            [
                RefcountRecord(start: 15367, clusters: 20, count: 2),
                RefcountRecord(start: 15397, clusters: 226, count: 2),
            ])
        #expect(
            bytes[0x80..<0xb0]
                == hex(
                    """
                    3700 0200 000000000000000000000000 073c000000000000 14000000 02000000
                    253c000000000000 e2000000 02000000
                    """)[...])
        try reading(bytes) { try RefcountBlock.validate($0, block: 900, volume) }
        var patched = bytes
        patched.withUnsafeMutableBytes { bytes in
            let list = RefcountBlock.records(bytes)
            #expect(list.index(atOrAfter: 0) == 0)
            #expect(list.index(atOrAfter: 15386) == 0)
            #expect(list.index(atOrAfter: 15387) == 1)
            #expect(list.index(atOrAfter: 15623) == 2)
            list.remove(at: 0)
            #expect(list.count == 1)
            #expect(list[0].start == 15397)
            #expect(list[1] == RefcountRecord(start: 0, clusters: 0, count: 0))
            list.insert(RefcountRecord(start: 15367, clusters: 20, count: 2), at: 0)
        }
        #expect(patched == bytes)
    }

    @Test("a root becomes a tree and a list again; a leaf knows its root")
    func kinds() throws {
        let volume = try parameters()
        var root = makeBlock(volume)
        root.withUnsafeMutableBytes { bytes in
            RefcountBlock.beginTree(bytes, volume.geometry)
            RefcountBlock.list(bytes).insert(ExtentRecord(cpos: 0, clusters: 1, block: 901), at: 0)
        }
        try reading(root) {
            try RefcountBlock.validate($0, block: 900, volume)
            #expect(RefcountBlock.kind($0) == .rootWithTree)
            try ExtentListView(reading: $0, offset: 0x80).validateRecords(volume, isMappingClusters: false)
        }
        root.withUnsafeMutableBytes { RefcountBlock.endTree($0, volume.geometry) }
        #expect(root == makeBlock(volume))
        let leaf = makeBlock(volume, parent: 800)
        try reading(leaf) { try RefcountBlock.validate($0, block: 900, root: 800, volume) }
        #expect(throws: LayoutError.badValue(field: "rf_parent", found: 800, expected: "801")) {
            try reading(leaf) { try RefcountBlock.validate($0, block: 900, root: 801, volume) }
        }
        #expect(throws: LayoutError.badValue(field: "rf_flags", found: 1, expected: "0 or 2")) {
            try reading(leaf) { try RefcountBlock.validate($0, block: 900, volume) }
        }
    }

    @Test("fields and records that cannot be are refused")
    func hostile() throws {
        let volume = try parameters(clusters: 1000)
        let good = makeBlock(
            volume,
            [RefcountRecord(start: 10, clusters: 5, count: 1), RefcountRecord(start: 995, clusters: 5, count: 3)])
        try reading(good) { try RefcountBlock.validate($0, block: 900, volume) }
        for (offset, value) in [
            (0, 0), (0x08, 2), (0x0c, 1), (0x10, 1), (0x34, 3), (0x80, 54), (0x82, 56), (0xa8, 6),
            (0xa1, 0xff), (0x98, 0), (0x9c, 0), (0xa7, 0xff), (0x9b, 0xff),
        ] as [(Int, UInt8)] {
            var bytes = good
            bytes[offset] = value
            #expect(throws: LayoutError.self, "offset \(offset)") {
                try reading(bytes) { try RefcountBlock.validate($0, block: 900, volume) }
            }
        }
        #expect(throws: LayoutError.truncated(need: 1024, have: 1023)) {
            try reading(good.dropLast()) { try RefcountBlock.validate($0, block: 900, volume) }
        }
    }
}

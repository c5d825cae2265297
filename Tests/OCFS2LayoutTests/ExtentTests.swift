import LayoutKit
import OCFS2Layout
import Testing

@Suite struct ExtentTests {
    private func makeBlock(
        _ volume: VolumeParameters, depth: Int = 0, _ fill: (ExtentListView) -> Void = { _ in }
    ) -> [UInt8] {
        block(volume.blockSize) { bytes in
            ExtentBlock.initialize(
                bytes, block: 500, depth: depth, Suballocation(slot: 1, bit: 7, group: 0), volume)
            fill(ExtentBlock.list(bytes))
        }
    }

    @Test("records keep their bytes: leaf and interior differ")
    func records() throws {
        let volume = try parameters()
        let leaf = makeBlock(volume) {
            $0.insert(
                ExtentRecord(cpos: 5, clusters: 0xffff, block: 0x1122_3344, flags: [.unwritten, .refcounted]), at: 0)
        }
        #expect(Array(leaf[0x40..<0x50]) == hex("05000000 ffff 00 03 4433221100000000"))
        let interior = makeBlock(volume, depth: 1) {
            $0.insert(ExtentRecord(cpos: 5, clusters: 0x0102_0304, block: 9), at: 0)
        }
        #expect(Array(interior[0x40..<0x50]) == hex("05000000 04030201 0900000000000000"))
        #expect(Array(interior[0x30..<0x38]) == hex("0100 3c00 0100 0000"))
    }

    @Test("insert and remove keep order and zero what they free")
    func insertRemove() throws {
        _ = makeBlock(try parameters(512)) { list in
            for index in [1, 3, 2, 0] as [UInt32] {
                let place = (0..<list.count).firstIndex { list[$0].cpos > index } ?? list.count
                list.insert(ExtentRecord(cpos: index, clusters: 1, block: UInt64(index) * 8 + 800), at: place)
            }
            #expect((0..<4).map { list[$0].cpos } == [0, 1, 2, 3])
            list.remove(at: 1)
            #expect((0..<3).map { list[$0].block } == [800, 816, 824])
            #expect(list[3] == .empty)
        }
    }

    @Test("a leaf is searched by logical cluster, holes and the empty first record included")
    func leafSearch() throws {
        _ = makeBlock(try parameters()) { list in
            list.insert(.empty, at: 0)
            list.insert(ExtentRecord(cpos: 2, clusters: 3, block: 400), at: 1)
            list.insert(ExtentRecord(cpos: 10, clusters: 1, block: 800), at: 2)
            list.insert(ExtentRecord(cpos: 0xffff_fff0, clusters: 16, block: 1200), at: 3)
            #expect(list.record(covering: 0) == nil)
            #expect(list.leafIndex(atOrAfter: 0) == 1)
            #expect(list.record(covering: 4)?.block == 400)
            #expect(list.record(covering: 5) == nil)
            #expect(list.leafIndex(atOrAfter: 5) == 2)
            #expect(list.record(covering: .max)?.block == 1200)
            #expect(list.leafIndex(atOrAfter: .max) == 3)
        }
    }

    // Spec: ocfs2-disk 6.4.
    @Test("an interior list leads to the child that covers, else to the last one")
    func childSearch() throws {
        _ = makeBlock(try parameters(), depth: 1) { list in
            #expect(list.childIndex(for: 0) == nil)
            list.insert(ExtentRecord(cpos: 0, clusters: 122, block: 5), at: 0)
            list.insert(ExtentRecord(cpos: 122, clusters: 77, block: 6), at: 1)
            #expect(list.childIndex(for: 0) == 0)
            #expect(list.childIndex(for: 121) == 0)
            #expect(list.childIndex(for: 122) == 1)
            #expect(list.childIndex(for: 199) == 1)
            #expect(list.childIndex(for: .max) == 1)
        }
    }

    @Test("the block's checks name their fields")
    func checks() throws {
        let volume = try parameters()
        let good = makeBlock(volume)
        try reading(good) { try ExtentBlock.validate($0, block: 500, depth: 0, volume) }
        for (offset, value, field) in [
            (0x18, 1, "h_blkno"), (0x14, 1, "h_fs_generation"), (0x10, 9, "h_suballoc_slot"), (0x30, 1, "l_tree_depth"),
            (0x32, 59, "l_count"), (0x34, 61, "l_next_free_rec"),
        ] as [(Int, UInt8, String)] {
            var bytes = good
            bytes[offset] = value
            #expect {
                try reading(bytes) { try ExtentBlock.validate($0, block: 500, depth: 0, volume) }
            } throws: { error in
                guard case LayoutError.badValue(let found, _, _) = error else { return false }
                return found == field
            }
        }
        #expect(throws: LayoutError.badMagic(found: 0, expected: FixedSignature.extentBlock.rawValue)) {
            try reading(block(1024) { _ in }) { try ExtentBlock.validate($0, block: 500, volume) }
        }
        #expect(throws: LayoutError.truncated(need: 1024, have: 1023)) {
            try reading(good.dropLast()) { try ExtentBlock.validate($0, block: 500, volume) }
        }
    }

    @Test("records that lie outside, overlap or are misaligned are refused")
    func hostileRecords() throws {
        let volume = try parameters(clusters: 1000)
        let judge: ([ExtentRecord]) throws -> Bool = { records in
            let bytes = makeBlock(volume) { list in
                for (index, record) in records.enumerated() { list.insert(record, at: index) }
            }
            return reading(bytes) { bytes in
                (try? ExtentListView(reading: bytes, offset: 0x30).validateRecords(volume)) != nil
            }
        }
        let first = ExtentRecord(cpos: 0, clusters: 10, block: 400)
        #expect(try judge([first, ExtentRecord(cpos: 10, clusters: 1, block: 3996)]))
        #expect(try judge([.empty, first]))
        #expect(try !judge([first, .empty]))
        #expect(try !judge([first, ExtentRecord(cpos: 9, clusters: 1, block: 3996)]))
        #expect(try !judge([ExtentRecord(cpos: 0, clusters: 2, block: 3996)]))
        #expect(try !judge([ExtentRecord(cpos: 0, clusters: 1, block: 4000)]))
        #expect(try !judge([ExtentRecord(cpos: 0, clusters: 1, block: 401)]))
        #expect(try !judge([ExtentRecord(cpos: 0, clusters: 1, block: 0)]))
        #expect(try !judge([ExtentRecord(cpos: 0, clusters: 1, block: .max - 3)]))
    }
}

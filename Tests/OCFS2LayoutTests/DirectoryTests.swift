import LayoutKit
import OCFS2Layout
import Testing

@Suite struct DirectoryAreaTests {
    /// Runs `body` on an area that a fresh directory fills.
    private func fresh(_ size: Int = 312, _ body: (DirectoryArea) throws -> Void) rethrows {
        _ = try block(size) { bytes in
            let area = DirectoryArea(bytes)
            area.initialize(own: 100, parent: 17)
            try body(area)
        }
    }

    private func insert(_ name: String, _ inode: UInt64 = 200, into area: DirectoryArea) throws -> DirectoryEntry? {
        try reading(Array(name.utf8)) { try area.insert($0, inode: inode, type: .regular) }
    }

    private func find(_ name: String, in area: DirectoryArea) throws -> DirectoryEntry? {
        try reading(Array(name.utf8)) { try area.find($0) }
    }

    private func names(_ area: DirectoryArea) throws -> [String] {
        var names: [String] = []
        try area.forEach { entry in
            if entry.isUsed { names.append(String(decoding: area.name(of: entry), as: UTF8.self)) }
            return true
        }
        return names
    }

    // Spec: ocfs2-disk-2 B.3, B.7.
    @Test("a real root directory lists its names, and is made here byte for byte")
    func real() throws {
        var bytes = SmallVolume.rootDirectory
        try bytes.withUnsafeMutableBytes { bytes in
            let area = DirectoryArea(DinodeView(bytes).inlineData)
            #expect(try names(area) == [".", "..", "lost+found"])
            let entry = try #require(try find("lost+found", in: area))
            #expect(entry.inode == 0x5261)
            #expect(entry.type == .directory)
            #expect(entry.length == 280)
            #expect(try area.isEmpty() == false)
            area.initialize(own: 17, parent: 17)
            #expect(
                try reading(Array("lost+found".utf8)) { try area.insert($0, inode: 0x5261, type: .directory) } == entry)
        }
        #expect(bytes == SmallVolume.rootDirectory)
    }

    @Test("entry lengths", arguments: [(1, 16), (4, 16), (5, 20), (8, 20), (9, 24), (12, 24), (255, 268)])
    func lengths(name: Int, length: Int) {
        #expect(DirectoryEntry.lengthNeeded(forName: name) == length)
    }

    @Test("names fill an area up to its last byte, and come back out in every order")
    func fill() throws {
        try fresh(1024) { area in
            var count = 0
            while try insert("n\(count)", UInt64(1000 + count), into: area) != nil {
                count += 1
                try area.validate()
            }
            #expect(count == 62)
            #expect(try area.largestHole() == 0)
            for number in stride(from: 0, to: count, by: 2) {
                try area.remove(try #require(try find("n\(number)", in: area)))
                try area.validate()
            }
            #expect(try names(area).count == 2 + count / 2)
            #expect(try find("n3", in: area)?.inode == 1003)
            #expect(try find("n4", in: area) == nil)
            for number in stride(from: 1, to: count, by: 2) {
                try area.remove(try #require(try find("n\(number)", in: area)))
            }
            #expect(try area.isEmpty())
            #expect(try area.largestHole() == 1024 - 16 - 16)
        }
    }

    @Test("the first entry of an area stays as an unused one")
    func removeFirst() throws {
        _ = try block(512) { bytes in
            let area = DirectoryArea(bytes)
            area.initializeEmpty()
            #expect(try area.largestHole() == 512)
            let first = try #require(try insert("first", into: area))
            #expect(first.length == 512)
            try area.remove(first)
            #expect(try names(area) == [])
            #expect(try area.largestHole() == 512)
            area.retarget(try #require(try insert("again", into: area)), inode: 7, type: .fifo)
            #expect(try find("again", in: area)?.type == .fifo)
        }
    }

    @Test("an entry that is no longer there is not removed")
    func removeStale() throws {
        try fresh { area in
            let entry = try #require(try insert("abc", into: area))
            let stale = DirectoryEntry(offset: entry.offset + 4, inode: 1, length: 16, nameLength: 1, fileType: 1)
            #expect(throws: LayoutError.self) { try area.remove(stale) }
        }
    }

    @Test("an inline directory grows to a block: the last entry reaches the trailer")
    func grow() throws {
        _ = try block(1024) { bytes in
            let inline = DirectoryArea(bytes.part(offset: 0, count: 824))
            inline.initialize(own: 5, parent: 5)
            _ = try insert("abc", into: inline)
            let area = DirectoryArea(block: bytes, hasTrailer: true)
            try area.extendLastEntry(filled: 824)
            try area.validate()
            #expect(try find("abc", in: area)?.end == 960)
            #expect(try area.largestHole() == 960 - 32 - 16)
        }
    }

    @Test(
        "entries that leave the area, or do not hold their names, are refused",
        arguments: [
            [(8, 0)], [(8, 12)], [(8, 14)], [(8, 18)], [(8, 0x3c), (9, 1)], [(8, 0x2c), (9, 1)], [(9, 0xff)],
            [(10, 255)], [(10, 0)],
        ] as [[(Int, UInt8)]])
    func hostile(changes: [(Int, UInt8)]) throws {
        fresh { area in
            for (offset, value) in changes { area.bytes[offset] = value }
            #expect(throws: LayoutError.self) { try area.validate() }
            #expect(throws: LayoutError.self) { _ = try find("missing", in: area) }
        }
    }

    @Test("any bytes at all end in names or an error, never in a trap or an endless walk")
    func random() throws {
        var state: UInt64 = 1
        for _ in 0..<20_000 {
            _ = block(64) { bytes in
                for index in 0..<64 {
                    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    // Small numbers, so that many entries are nearly right.
                    bytes[index] = UInt8(truncatingIfNeeded: state >> 33) & 0x3c
                }
                let area = DirectoryArea(bytes)
                var steps = 0
                try? area.forEach { entry in
                    steps += area.name(of: entry).count >= 0 ? 1 : 0
                    return true
                }
                #expect(steps <= 4)
            }
        }
    }

    @Test("the trailer of a real block, and its checks")
    func trailer() throws {
        let volume = try parameters(1024)
        let good = block(1024) { bytes in
            DirectoryArea(block: bytes, hasTrailer: true).initializeEmpty()
            DirectoryTrailer.initialize(bytes, block: 0xf820, directory: 0x9249, largestHole: 0)
        }
        #expect(good[0..<16] == hex("0000000000000000 c003 0000 00000000")[...])
        #expect(
            good[0x3c0..<0x400]
                == hex(
                    """
                    0000000000000000 4000 00 000000 0000 4449 5254 524c 3100 0000000000000000
                    0000000000000000 20f8000000000000 4992000000000000 0000000000000000
                    """)[...])
        try reading(good) { try DirectoryTrailer.validate($0, block: 0xf820, directory: 0x9249, volume) }
        for offset in [0x3d0, 0x3e8, 0x3f0, 0x3e7] {
            var bytes = good
            bytes[offset] ^= 0xff
            #expect(throws: LayoutError.self) {
                try reading(bytes) { try DirectoryTrailer.validate($0, block: 0xf820, directory: 0x9249, volume) }
            }
        }
    }
}

@Suite struct NameHashTests {
    private func hash(_ name: [UInt8], _ seed: IndexSeed) -> NameHash {
        reading(name) { NameHash($0, seed: seed) }
    }

    // Spec: ocfs2-disk 8.5: seen in the index of a directory made by the kernel.
    @Test(
        "names of a kernel's directory",
        arguments: [
            ("a", 0x290d_5578, 0x26cd_4721), ("ab", 0x9c79_8747, 0x53e6_9852), ("abc", 0x0f2f_64e8, 0xc798_8d1e),
            ("abcd", 0x964a_618a, 0xa4b9_2997), ("abcde", 0xe294_39ff, 0x8287_1971),
            ("README.txt", 0xe7aa_9b6c, 0x86e9_e012), ("0123456789abcdef", 0xf775_30fd, 0xec81_a496),
            ("0123456789abcdefg", 0x32ad_9931, 0x7486_5a0b), ("gr\u{fc}n", 0x8764_353e, 0x5031_b190),
            ("a name of more than thirty-two characters in it", 0x03a6_baf5, 0xbb70_b404),
            ("f000000", 0xa2c9_128c, 0x3d81_01e8), (".", 0, 0), ("..", 0, 0),
        ] as [(String, UInt32, UInt32)])
    func seen(name: String, major: UInt32, minor: UInt32) {
        #expect(
            hash(Array(name.utf8), IndexSeed(0xb00f_3e2b, 0x1d8a_ee24, 0x6f41_d97c))
                == NameHash(major: major, minor: minor))
    }

    // Spec: ocfs2-disk-2 B.2.
    @Test(
        "lengths around the steps of 16, and bytes above 127",
        arguments: [
            (Array("0123456789abcde".utf8), 0x67c5_0f2c, 0xd494_ff07, 0x9602_c8ad, 0x2300_eaf3),
            (Array(repeating: 0x78, count: 31), 0xf36c_239f, 0x4248_7dcb, 0x6b61_b14e, 0x3857_d8cd),
            (Array(repeating: 0x78, count: 32), 0x610e_d1fd, 0xe19b_5884, 0x2914_936c, 0x0805_00eb),
            (Array(repeating: 0x78, count: 33), 0x9550_26de, 0x09e5_e805, 0x55b2_4980, 0x09c9_b920),
            (Array(repeating: 0x78, count: 255), 0xf0eb_43a4, 0x819d_69ef, 0x1837_ace8, 0x32c6_7a44),
            ([0x80], 0xf7f4_f010, 0x04dd_c510, 0xa95e_c69e, 0xbe32_b6db),
            (Array(repeating: 0xff, count: 16), 0xacd9_c0e9, 0x7dd3_ad32, 0x6450_862e, 0xd3ab_841c),
            (Array("dio-0000000000009226".utf8), 0x7575_0005, 0xa2bc_ed8a, 0xfd84_b9cf, 0xe569_6fe1),
        ] as [([UInt8], UInt32, UInt32, UInt32, UInt32)])
    func lengths(name: [UInt8], major0: UInt32, minor0: UInt32, major1: UInt32, minor1: UInt32) {
        #expect(hash(name, IndexSeed(0, 0, 0)) == NameHash(major: major0, minor: minor0))
        #expect(
            hash(name, IndexSeed(0x1111_1111, 0x2222_2222, 0x3333_3333)) == NameHash(major: major1, minor: minor1))
    }

    @Test("orphan names go both ways; other names are none")
    func orphanNames() {
        #expect(OrphanName.name(inode: 37414) == "0000000000009226")
        #expect(OrphanName.name(inode: 0x9282, isDirectIO: true) == "dio-0000000000009282")
        let decoded = reading(Array("dio-0000000000009282".utf8)) { OrphanName.decode($0) }
        #expect(decoded?.inode == 0x9282)
        #expect(decoded?.isDirectIO == true)
        #expect(reading(Array("ffffffffffffffff".utf8)) { OrphanName.decode($0)?.inode } == .max)
        for name in ["", ".", "000000000000922g", "000000000000922A", "xio-0000000000009282", "00000000000009226"] {
            #expect(reading(Array(name.utf8)) { OrphanName.decode($0) == nil })
        }
    }
}

@Suite struct IndexTests {
    private let entry = IndexEntryList.Entry(hash: NameHash(major: 0x8764_353e, minor: 0x5031_b190), block: 0xf820)

    // Spec: ocfs2-disk-2 26.
    @Test("the root of a real index is made here byte for byte")
    func root() throws {
        let volume = try parameters(1024)
        var bytes = block(1024) { bytes in
            IndexRoot.initialize(
                bytes, block: 0x8227, directory: 0x9249, Suballocation(slot: 0, bit: 7, group: 0), volume)
            #expect(IndexRoot.isInline(UnsafeRawBufferPointer(bytes)))
            #expect(IndexRoot.entries(bytes).capacity == 51)
            IndexRoot.entries(bytes).append(entry)
            IndexRoot.beginExtentList(bytes, volume.geometry)
            IndexRoot.list(bytes).insert(ExtentRecord(cpos: 0, clusters: 1, block: 0xf860), at: 0)
            bytes[IndexRoot.Field.clusters] = 1
            bytes[IndexRoot.Field.entryCount] = 52
            bytes[IndexRoot.Field.firstFree] = 0xf821
        }
        #expect(bytes[0x10..<0x20] == hex("0000 0700 1941870b 2782000000000000")[...])
        #expect(bytes[0x28..<0x48] == hex("01000000 00000000 4992000000000000 34000000 00000000 21f8000000000000")[...])
        #expect(
            bytes[0xc0..<0xe0]
                == hex("0000 3300 0100 00000000000000000000 00000000 01000000 60f8000000000000")[...])
        try reading(bytes) { try IndexRoot.validate($0, block: 0x8227, directory: 0x9249, volume) }
        for (offset, value) in [(0, 0), (0x18, 1), (0x14, 0), (0x30, 0), (0x10, 2), (0xc2, 50), (0x47, 1)] {
            let before = bytes[offset]
            bytes[offset] = UInt8(value)
            #expect(throws: LayoutError.self) {
                try reading(bytes) { try IndexRoot.validate($0, block: 0x8227, directory: 0x9249, volume) }
            }
            bytes[offset] = before
        }
    }

    @Test("a leaf takes entries, finds them by both hashes and gives them back")
    func leaf() throws {
        let volume = try parameters(1024)
        let bytes = block(1024) { bytes in
            IndexLeaf.initialize(bytes, block: 0xf860, volume)
            let entries = IndexLeaf.entries(bytes)
            #expect(entries.capacity == 61)
            entries.append(.init(hash: .dots, block: 0xf820))
            entries.append(.init(hash: .dots, block: 0xf820))
            entries.append(entry)
            #expect(entries.firstIndex(of: entry.hash) == 2)
            #expect(entries.firstIndex(of: .dots, from: 1) == 1)
            #expect(entries.firstIndex(of: NameHash(major: 0x8764_353e, minor: 0)) == nil)
            #expect(Array(bytes[0x50..<0x60]) == hex("3e356487 90b13150 20f8000000000000"))
            #expect(Array(bytes[0x28..<0x30]) == hex("00000000 3d00 0300"))
            entries.remove(at: 0)
            #expect(entries.count == 2)
            #expect(entries[1] == entry)
            #expect(entries[2] == .init(hash: .dots, block: 0))
            entries.truncate(to: 0)
            #expect(entries.count == 0)
        }
        try reading(bytes) { try IndexLeaf.validate($0, block: 0xf860, volume) }
        for (offset, value) in [(0, 0), (0x10, 1), (0x18, 0), (0x2c, 60), (0x2e, 62)] {
            var broken = bytes
            broken[offset] = UInt8(value)
            #expect(throws: LayoutError.self) {
                try reading(broken) { try IndexLeaf.validate($0, block: 0xf860, volume) }
            }
        }
    }

    // Spec: ocfs2-disk 8.7.
    @Test("a hash leads to its cluster and block; the last cluster takes what lies behind")
    func leafBlock() throws {
        let volume = try parameters(1024)
        _ = block(1024) { bytes in
            IndexRoot.initialize(bytes, block: 5, directory: 6, Suballocation(slot: 0, bit: 1, group: 0), volume)
            IndexRoot.beginExtentList(bytes, volume.geometry)
            let list = IndexRoot.list(bytes)
            #expect(IndexRoot.recordIndex(for: 0, in: list) == nil)
            list.insert(ExtentRecord(cpos: 0, clusters: 1, block: 400), at: 0)
            list.insert(ExtentRecord(cpos: 1000, clusters: 2, block: 800), at: 1)
            #expect(IndexRoot.recordIndex(for: 999, in: list) == 0)
            #expect(IndexRoot.recordIndex(for: .max, in: list) == 1)
            let block: (UInt32, UInt32) -> UInt64 = { major, minor in
                IndexRoot.leafBlock(for: NameHash(major: major, minor: minor), in: list[1], volume.geometry)
            }
            #expect(block(1000, 5) == 801)
            #expect(block(1001, 4) == 804)
            #expect(block(.max, 7) == 807)
        }
    }

    // Spec: ocfs2-disk 8.8.
    @Test("a full leaf splits where the kernel splits it")
    func split() throws {
        let volume = try parameters(512)
        let split: ([UInt32], UInt32, UInt32) -> UInt32? = { majors, lowest, inserted in
            var result: UInt32?
            _ = block(512) { bytes in
                IndexLeaf.initialize(bytes, block: 8, volume)
                let entries = IndexLeaf.entries(bytes)
                for major in majors { entries.append(.init(hash: NameHash(major: major, minor: 0), block: 1)) }
                result = IndexLeaf.splitHash(of: entries, lowest: lowest, inserting: inserted)
            }
            return result
        }
        #expect(split([9, 3, 7, 5], 0, 4) == 7)
        #expect(split([3, 3, 3, 7], 3, 4) == 7)
        #expect(split([5, 5], 0, 5) == nil)
        #expect(split([5, 5], 5, 6) == 6)
        #expect(split([5, 5], 0, 4) == 5)
        #expect(split([5, 5], 0, 9) == 9)
    }
}

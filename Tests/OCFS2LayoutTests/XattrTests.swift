import LayoutKit
import OCFS2Layout
import Testing

/// Numbers from a seed.
struct Numbers {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next(below limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(limit))
    }
}

@Suite struct XattrNameTests {
    // Spec: ocfs2-disk-2 16.6, B.2.
    @Test(
        "hashes of names",
        arguments: [
            ([], 0, 0x2028_1c67), (Array("a".utf8), 0x61, 0x0503_8c85),
            (Array("selinux".utf8), 0x0cf5_36c4, 0x0db5_d5fd), (Array("user".utf8), 0x003b_40d2, 0xc649_4253),
            (Array(repeating: 0x6e, count: 255), 0x7000_0003, 0x4901_40e0), ([0x80], 0xffff_ff80, 0xfafc_7364),
            (Array("name0".utf8), 0x06d1_3890, 0xc891_68a8), (Array("gr\u{fc}n".utf8), 0x0649_f80e, 0xc809_a836),
        ] as [([UInt8], UInt32, UInt32)])
    func hashes(name: [UInt8], zero: UInt32, seeded: UInt32) {
        #expect(reading(name) { XattrNameHash.compute($0, uuidHash: 0) } == zero)
        #expect(reading(name) { XattrNameHash.compute($0, uuidHash: 0x2028_1c67) } == seeded)
    }

    @Test("prefixes become numbers")
    func prefixes() {
        let split: (String) -> (XattrIndex, Int)? = { name in
            reading(Array(name.utf8)) { XattrIndex.split($0).map { ($0.index, $0.prefixLength) } }
        }
        #expect(split("user.a")! == (.user, 5))
        #expect(split("security.selinux")! == (.security, 9))
        #expect(split("system.posix_acl_access")! == (.accessACL, 23))
        for name in ["user.", "user", "system.posix_acl_accessx", "system.nfs4_acl", ""] { #expect(split(name) == nil) }
    }

    // Spec: ocfs2-disk-2 B.7.
    @Test("sizes of name and value", arguments: [(5, 20, 28), (30, 60, 92), (4, 1000, 52), (0, 80, 80), (1, 81, 52)])
    func sizes(name: Int, value: Int, size: Int) {
        #expect(XattrEntry.nameValueSize(nameLength: name, valueSize: value) == size)
    }
}

@Suite struct XattrStorageTests {
    // Spec: ocfs2-disk-2 16.8: `u:5:rw,g:7:r` on a 0644 file.
    @Test("the ACL of a real inline area is made here byte for byte")
    func acl() throws {
        let acl: [ACLEntry] = [
            ACLEntry(tag: .owner, permissions: 6), ACLEntry(tag: .user, permissions: 6, id: 5),
            ACLEntry(tag: .owningGroup, permissions: 4), ACLEntry(tag: .group, permissions: 4, id: 7),
            ACLEntry(tag: .mask, permissions: 6), ACLEntry(tag: .other, permissions: 4),
        ]
        let bytes = try block(256) { bytes in
            let storage = XattrStorage(bytes)
            storage.initialize()
            let place = reading([]) {
                storage.insert(
                    indexNumber: XattrIndex.accessACL.rawValue, $0, hash: 0x2028_1c67, valueSize: 48)
            }
            let value = storage.localValue(of: storage[try #require(place)])
            for (index, entry) in acl.enumerated() { entry.encode(into: value.dropped(8 * index)) }
            try storage.validate()
            #expect(try ACLEntry.decodeAll(UnsafeRawBufferPointer(value)) == acl)
        }
        #expect(
            bytes[..<32]
                == hex(
                    """
                    01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                    67 1c 28 20 d0 00 00 82 30 00 00 00 00 00 00 00
                    """)[...])
        #expect(
            bytes[0xd0...]
                == hex(
                    """
                    01 00 06 00 ff ff ff ff 02 00 06 00 05 00 00 00
                    04 00 04 00 ff ff ff ff 08 00 04 00 07 00 00 00
                    10 00 06 00 ff ff ff ff 20 00 04 00 ff ff ff ff
                    """)[...])
        #expect(throws: LayoutError.self) { try reading(hex("0300 0000 ffffffff")) { _ = try ACLEntry(decoding: $0) } }
        #expect(throws: LayoutError.self) { try reading(hex("0100 0800 ffffffff")) { _ = try ACLEntry(decoding: $0) } }
        #expect(throws: LayoutError.self) { try reading(hex("0100 06")) { _ = try ACLEntry.decodeAll($0) } }
    }

    @Test("a storage stays compact whatever is removed, and every value stays with its name")
    func compact() throws {
        var numbers = Numbers(7)
        _ = try block(976) { bytes in
            let storage = XattrStorage(bytes)
            storage.initialize()
            var model: [String: Int] = [:]
            for step in 0..<1500 {
                let name = "name\(numbers.next(below: 40))"
                let utf8 = Array(name.utf8)
                try reading(utf8) { raw in
                    if let index = storage.find(indexNumber: 1, raw, hash: UInt32(utf8.count)) {
                        storage.removeCompact(at: index)
                        #expect(model.removeValue(forKey: name) != nil)
                    } else {
                        let size = numbers.next(below: 100)
                        let place = storage.insert(indexNumber: 1, raw, hash: UInt32(utf8.count), valueSize: size)
                        guard let place else { return }
                        let entry = storage[place]
                        if entry.isLocal {
                            for byte in 0..<size {
                                storage.localValue(of: entry)[byte] = UInt8(truncatingIfNeeded: size)
                            }
                        } else {
                            XattrValueRoot.initialize(storage.valueRoot(of: entry))
                            storage.valueRoot(of: entry)[XattrValueRoot.Field.clusters] = UInt32(size)
                        }
                        model[name] = size
                    }
                    try storage.validate()
                }
                guard step % 50 == 0 else { continue }
                #expect(storage.count == model.count)
                #expect(
                    bytes.count - storage.lowestNameOffset
                        == (0..<storage.count).reduce(0) { $0 + storage[$1].nameValueSize })
                for index in 0..<storage.count {
                    let entry = storage[index]
                    let size = model[String(decoding: storage.name(of: entry), as: UTF8.self)]
                    #expect(size == Int(entry.valueSize))
                    if entry.isLocal {
                        #expect(storage.localValue(of: entry).allSatisfy { Int($0) == size })
                    } else {
                        #expect(storage.valueRoot(of: entry)[XattrValueRoot.Field.clusters] == UInt32(size ?? -1))
                    }
                }
            }
        }
    }

    @Test("entries that leave the storage or lie about their values are refused")
    func hostile() throws {
        let good = block(256) { bytes in
            let storage = XattrStorage(bytes)
            storage.initialize()
            _ = reading(Array("abc".utf8)) { storage.insert(indexNumber: 1, $0, hash: 1, valueSize: 10) }
        }
        for (offset, value) in [
            (0, 16), (1, 1), (0x14, 0xf8), (0x15, 1), (0x14, 0x10), (0x16, 255), (0x17, 1), (0x18, 81), (0x1f, 0xff),
        ] as [(Int, UInt8)] {
            var bytes = good
            bytes[offset] = value
            #expect(throws: LayoutError.self) {
                try bytes.withUnsafeMutableBytes { try XattrStorage($0).validate() }
            }
        }
    }

    @Test("names that share bytes are refused")
    func overlap() {
        let bytes = block(256) { bytes in
            let storage = XattrStorage(bytes)
            storage.initialize()
            for name in ["abcd", "efgh"] {
                _ = reading(Array(name.utf8)) { storage.insert(indexNumber: 1, $0, hash: 1, valueSize: 12) }
            }
            var second = storage[1]
            #expect(throws: Never.self) { try storage.validate() }
            second.nameOffset += 4
            storage[1] = second
        }
        #expect(throws: LayoutError.badValue(field: "xe_name_offset", found: 240, expected: "at least 244")) {
            try reading(bytes) { try XattrStorage(UnsafeMutableRawBufferPointer(mutating: $0)).validate() }
        }
    }

    @Test("the block's checks, with attributes and with an index")
    func blocks() throws {
        let volume = try parameters(1024)
        let bytes = block(1024) { bytes in
            XattrBlock.initialize(bytes, block: 77, Suballocation(slot: 1, bit: 3, group: 0), volume)
            #expect(XattrBlock.storage(bytes).bytes.count == 976)
        }
        try reading(bytes) { try XattrBlock.validate($0, block: 77, volume) }
        for (offset, value) in [(0, 0), (8, 2), (0xc, 1), (0x10, 1), (0x30, 70)] {
            var broken = bytes
            broken[offset] = UInt8(value)
            #expect(throws: LayoutError.self) { try reading(broken) { try XattrBlock.validate($0, block: 77, volume) } }
        }
        var indexed = bytes
        indexed.withUnsafeMutableBytes {
            XattrBlock.beginIndex($0, volume.geometry)
            XattrBlock.list($0).insert(ExtentRecord(cpos: 0, clusters: 1, block: 400), at: 0)
        }
        try reading(indexed) {
            try XattrBlock.validate($0, block: 77, volume)
            #expect(XattrBlock.isIndexed($0))
        }
        indexed[0x42] = 58
        #expect(throws: LayoutError.self) { try reading(indexed) { try XattrBlock.validate($0, block: 77, volume) } }
        #expect(throws: LayoutError.self) {
            try reading(bytes.dropLast()) { try XattrBlock.validate($0, block: 77, volume) }
        }
    }
}

@Suite struct XattrBucketTests {
    private func names(_ bucket: XattrBucket) -> [String] {
        (0..<bucket.count).map { String(decoding: bucket.storage.name(of: bucket.storage[$0]), as: UTF8.self) }
    }

    @Test(
        "names and values stay inside their blocks through insertion, removal and defragmentation",
        arguments: [512, 1024, 4096])
    func blockBoundaries(blockSize: Int) throws {
        var numbers = Numbers(UInt64(blockSize))
        _ = try block(4096) { bytes in
            let bucket = XattrBucket(bytes, blockSize: blockSize)
            bucket.initialize()
            var model: [String: Int] = [:]
            for _ in 0..<600 {
                let number = numbers.next(below: 60)
                let name = "attribute \(number)" + String(repeating: "x", count: number * 3)
                let utf8 = Array(name.utf8)
                let hash = UInt32(number / 2)
                reading(utf8) { raw in
                    if let index = bucket.find(indexNumber: 1, raw, hash: hash) {
                        bucket.remove(at: index)
                        #expect(model.removeValue(forKey: name) != nil)
                    } else {
                        let size = numbers.next(below: 120)
                        let need = XattrEntry.nameValueSize(nameLength: utf8.count, valueSize: size)
                        if !bucket.hasRoom(nameValueSize: need), bucket.hasRoomWithHoles(nameValueSize: need) {
                            bucket.defragment()
                        }
                        guard let place = bucket.insert(indexNumber: 1, raw, hash: hash, valueSize: size) else {
                            return
                        }
                        let entry = bucket.storage[place]
                        if !entry.isLocal { XattrValueRoot.initialize(bucket.storage.valueRoot(of: entry)) }
                        model[name] = size
                    }
                }
                try bucket.validate()
                for index in 0..<bucket.count {
                    let entry = bucket.storage[index]
                    #expect(entry.nameOffset / blockSize == (entry.nameOffset + entry.nameValueSize - 1) / blockSize)
                }
                #expect(
                    bucket.nameValueLength == (0..<bucket.count).reduce(0) { $0 + bucket.storage[$1].nameValueSize })
                #expect(Set(names(bucket)) == Set(model.keys))
            }
        }
    }

    @Test("a block's attributes fill a bucket in the order of their hashes, with their values")
    func fill() throws {
        let volume = try parameters(1024)
        _ = try block(1024) { bytes in
            XattrBlock.initialize(bytes, block: 77, Suballocation(slot: 1, bit: 3, group: 0), volume)
            let source = XattrBlock.storage(bytes)
            for (name, hash) in [("b", 9), ("a", 3), ("c", 7)] as [(String, UInt32)] {
                let place = try #require(
                    reading(Array(name.utf8)) { source.insert(indexNumber: 1, $0, hash: hash, valueSize: 5) })
                source.localValue(of: source[place])[4] = UInt8(hash)
            }
            _ = try block(4096) { bytes in
                let bucket = XattrBucket(bytes, blockSize: 1024)
                bucket.fill(from: source)
                bucket.bucketCount = 1
                try bucket.validate()
                #expect(names(bucket) == ["a", "c", "b"])
                #expect((0..<3).map { bucket.storage.localValue(of: bucket.storage[$0])[4] } == [3, 7, 9])
                #expect(bucket.nameValueLength == 36)
                #expect(bucket.freeStart == 4096 - 36)
                #expect(Array(bytes[..<8]) == hex("0300 dc0f 2400 0100"))
            }
        }
    }

    @Test("a full bucket divides where the hash changes nearest to its middle")
    func divide() throws {
        for (hashes, expected) in [
            ([1, 2, 3, 4, 5, 6], 3), ([1, 1, 1, 1, 1, 6], 5), ([1, 6, 6, 6, 6, 6], 1), ([1, 1, 2, 2, 2, 3], 2),
        ] as [([UInt32], Int)] {
            _ = try block(8192) { bytes in
                let lower = XattrBucket(bytes, blockSize: 1024),
                    upper = XattrBucket(bytes.dropped(4096), blockSize: 1024)
                lower.initialize()
                for (index, hash) in hashes.enumerated() {
                    _ = reading(Array("n\(index)".utf8)) {
                        lower.insert(indexNumber: 1, $0, hash: hash, valueSize: 8)
                    }
                }
                lower.bucketCount = 1
                #expect(lower.divideIndex == expected)
                lower.divide(into: upper)
                try lower.validate()
                try upper.validate()
                #expect(lower.count == expected)
                #expect(upper.count == hashes.count - expected)
                #expect(lower.bucketCount == 1)
                #expect(upper.bucketCount == 0)
                #expect(upper.nameValueLength == 12 * upper.count)
                #expect(lower.storage[0].hash < upper.storage[0].hash)
            }
        }
    }

    @Test("equal hashes are not divided: the new bucket is empty and marked with the next hash")
    func divideEqual() {
        _ = block(8192) { bytes in
            let lower = XattrBucket(bytes, blockSize: 1024), upper = XattrBucket(bytes.dropped(4096), blockSize: 1024)
            lower.initialize()
            for name in ["a", "b", "c"] {
                _ = reading(Array(name.utf8)) { lower.insert(indexNumber: 1, $0, hash: 5, valueSize: 8) }
            }
            lower.divide(into: upper)
            #expect(lower.count == 3)
            #expect(upper.count == 0)
            #expect(bytes[LE32(offset: 4096 + 16)] == 6)
        }
    }
}

import LayoutKit
import OCFS2Layout
import Testing

@Suite struct GroupDescriptorTests {
    private let inodeAllocator = GroupDescriptor.Allocator(
        block: 20, clustersPerGroup: 34, bitsPerCluster: 8, chainCount: 1)

    @Test("groups of a real volume pass, and are made here byte for byte")
    func real() throws {
        let volume = try SmallVolume.parameters()
        try reading(SmallVolume.inodeGroup) {
            try GroupDescriptor.validate($0, block: 16, of: inodeAllocator, volume)
        }
        let made = block(512) { bytes in
            GroupDescriptor.initialize(
                bytes, .init(block: 16, parent: 20, chain: 0, bits: 272, bitmapSize: 448), volume)
            GroupDescriptor.take(bytes, 1..<26)
            BlockCheck.store(into: bytes, at: BlockCheck.groupOffset)
        }
        #expect(made == SmallVolume.inodeGroup)
        let slotAllocator = GroupDescriptor.Allocator(
            block: 30, clustersPerGroup: 256, bitsPerCluster: 8, chainCount: 1)
        try reading(SmallVolume.slotGroup) {
            try GroupDescriptor.validate($0, block: 21088, of: slotAllocator, volume)
            #expect(!GroupDescriptor.isDiscontiguous($0, volume.features))
            #expect(GroupDescriptor.block(ofBit: 2047, $0, volume) == 23135)
            #expect(GroupDescriptor.bit(ofBlock: 21089, $0, volume) == 1)
            #expect(GroupDescriptor.bit(ofBlock: 21088 + 2048, $0, volume) == nil)
            #expect(GroupDescriptor.bits(inRunOf: 5, $0, volume) == 5..<2048)
        }
    }

    // Spec: ocfs2-disk 9.6, ocfs2-disk-2 B.4.
    @Test("bits of a discontiguous group count over its runs")
    func discontiguous() throws {
        let volume = try parameters(1024)
        let allocator = GroupDescriptor.Allocator(block: 20, clustersPerGroup: 512, bitsPerCluster: 4, chainCount: 1)
        var bytes = block(1024) { bytes in
            GroupDescriptor.initialize(
                bytes, .init(block: 36028, parent: 20, chain: 0, bits: 168, bitmapSize: 256), volume)
            let list = GroupDescriptor.list(bytes)
            list.initialize(capacity: 43)
            list.insert(ExtentRecord(cpos: 0, clusters: 21, block: 36028), at: 0)
            list.insert(ExtentRecord(cpos: 21, clusters: 21, block: 39228), at: 1)
        }
        try reading(bytes) {
            try GroupDescriptor.validate($0, block: 36028, of: allocator, volume)
            #expect(GroupDescriptor.block(ofBit: 100, $0, volume) == 39244)
            #expect(GroupDescriptor.block(ofBit: 83, $0, volume) == 36111)
            #expect(GroupDescriptor.block(ofBit: 84, $0, volume) == 39228)
            #expect(GroupDescriptor.bit(ofBlock: 39244, $0, volume) == 100)
            #expect(GroupDescriptor.bit(ofBlock: 36112, $0, volume) == nil)
            #expect(GroupDescriptor.bits(inRunOf: 70, $0, volume) == 70..<84)
        }
        // A gap between the runs, and a first run that does not hold the descriptor.
        for (offset, value) in [(0x160, 22), (0x158, 0xc0)] as [(Int, UInt8)] {
            let before = bytes[offset]
            bytes[offset] = value
            #expect(throws: LayoutError.self) {
                try reading(bytes) { try GroupDescriptor.validate($0, block: 36028, of: allocator, volume) }
            }
            bytes[offset] = before
        }
        // Without the feature the list means nothing.
        let plain = try parameters(1024, features: VolumeFeatures())
        reading(bytes) { #expect(GroupDescriptor.block(ofBit: 100, $0, plain) == 36128) }
    }

    @Test("taking and releasing bits keeps the count; a bit freed twice is refused and changes nothing")
    func counts() throws {
        var bytes = SmallVolume.slotGroup
        bytes.withUnsafeMutableBytes { bytes in
            GroupDescriptor.take(bytes, 100..<164)
            #expect(bytes[GroupDescriptor.Field.freeBits] == 2046 - 64)
            #expect(throws: LayoutError.self) { try GroupDescriptor.release(bytes, 99..<164) }
            #expect(throws: LayoutError.self) { try GroupDescriptor.release(bytes, 0..<1) }
            #expect(throws: LayoutError.self) { try GroupDescriptor.release(bytes, 2047..<2049) }
            #expect(bytes[GroupDescriptor.Field.freeBits] == 2046 - 64)
            #expect(throws: Never.self) { try GroupDescriptor.release(bytes, 100..<164) }
        }
        #expect(bytes == SmallVolume.slotGroup)
    }

    @Test(
        "each check names its field",
        arguments: [
            (0x28, 17, "bg_blkno"), (0x10, 0, "bg_generation"), (0x20, 21, "bg_parent_dinode"), (0x09, 2, "bg_size"),
            (0x0b, 14, "bg_bits"), (0x0a, 17, "bg_bits"), (0x0d, 2, "bg_free_bits_count"), (0x0e, 1, "bg_chain"),
            (0x1f, 1, "bg_next_group"),
        ])
    func checks(offset: Int, value: UInt8, field: String) throws {
        var bytes = SmallVolume.inodeGroup
        bytes[offset] = value
        let volume = try SmallVolume.parameters()
        #expect {
            try reading(bytes) { try GroupDescriptor.validate($0, block: 16, of: inodeAllocator, volume) }
        } throws: { error in
            guard case LayoutError.badValue(let found, _, _) = error else { return false }
            return found == field
        }
    }
}

@Suite struct ChainListTests {
    // Spec: ocfs2-disk-2 26.
    @Test("the chain list of a real allocator")
    func golden() throws {
        let made = block(1024) { bytes in
            ChainList.initialize(bytes, clustersPerGroup: 512, bitsPerCluster: 4, try! geometry(1024))
            bytes[ChainList.Field.count] = 1
            ChainList.setRecord(bytes, 0, .init(free: 0x7fe, total: 0x800, firstGroup: 0x9224))
        }
        #expect(
            made[0xc0..<0xe0]
                == hex(
                    """
                    00 02 04 00 33 00 01 00 00 00 00 00 00 00 00 00
                    fe 07 00 00 00 08 00 00 24 92 00 00 00 00 00 00
                    """)[...])
        let volume = try parameters(1024)
        try reading(made) { try ChainList.validate($0, volume) }
        for (offset, value) in [(0xc4, 50), (0xc6, 52), (0xc2, 3), (0xc1, 0)] as [(Int, UInt8)] {
            var bytes = made
            bytes[offset] = value
            #expect(throws: LayoutError.self) { try reading(bytes) { try ChainList.validate($0, volume) } }
        }
    }
}

@Suite struct LocalAllocTests {
    @Test("the window of a real slot, and a closed one")
    func window() throws {
        let volume = try parameters(1024)
        _ = block(1024) { bytes in
            LocalAlloc.initialize(bytes, volume.geometry)
            #expect(Array(bytes[0xc0..<0xd0]) == hex("00000000 3003 0000 0000000000000000"))
            #expect(LocalAlloc.isClosed(UnsafeRawBufferPointer(bytes), volume.geometry))
            LocalAlloc.open(bytes, clusters: 23041..<25089, volume.geometry)
            LocalAlloc.bitmap(bytes).set(0..<5)
            LocalAlloc.bitmap(bytes).set(16..<26)
            bytes[LocalAlloc.Field.used] = 15
            #expect(Array(bytes[0xb8..<0xc8]) == hex("0f000000 00080000 015a0000 30030000"))
            #expect(Array(bytes[0xd0..<0xd4]) == hex("1f00ff03"))
            #expect(!LocalAlloc.isClosed(UnsafeRawBufferPointer(bytes), volume.geometry))
            #expect(throws: Never.self) { try LocalAlloc.validate(UnsafeRawBufferPointer(bytes), volume) }
            LocalAlloc.close(bytes, volume.geometry)
            #expect(LocalAlloc.isClosed(UnsafeRawBufferPointer(bytes), volume.geometry))
        }
    }

    @Test("windows that leave the bitmap, the group or the volume are refused")
    func hostile() throws {
        let volume = try parameters(1024)
        let judge: (UInt32, UInt32, UInt32, UInt16) -> Bool = { first, total, used, size in
            let bytes = block(1024) { bytes in
                bytes[LocalAlloc.Field.firstCluster] = first
                bytes[LocalAlloc.Field.total] = total
                bytes[LocalAlloc.Field.used] = used
                bytes[LocalAlloc.Field.bitmapSize] = size
            }
            return (try? reading(bytes) { try LocalAlloc.validate($0, volume) }) != nil
        }
        #expect(judge(100, 2048, 0, 816))
        #expect(!judge(100, 6529, 0, 816))
        #expect(!judge(100, 2048, 2049, 816))
        #expect(!judge(100, 2048, 0, 817))
        #expect(!judge(7000, 2048, 0, 816))
        #expect(!judge(76799, 2, 0, 816))
        #expect(!judge(.max, .max, 0, .max))
    }
}

@Suite struct TruncateLogTests {
    @Test("freed runs join the last record inside of one group, and a full log says so")
    func append() throws {
        let geometry = try geometry(512)
        let bytes = block(512) { bytes in
            TruncateLog.initialize(bytes, geometry)
            #expect(TruncateLog.append(bytes, .init(start: 100, clusters: 5), geometry))
            #expect(TruncateLog.append(bytes, .init(start: 105, clusters: 5), geometry))
            #expect(TruncateLog.append(bytes, .init(start: 3583, clusters: 1), geometry))
            #expect(TruncateLog.append(bytes, .init(start: 3584, clusters: 1), geometry))
            #expect(bytes[TruncateLog.Field.count] == 3)
            for cluster in 4..<40 as Range<UInt32> {
                #expect(TruncateLog.append(bytes, .init(start: cluster * 10, clusters: 1), geometry))
            }
            #expect(!TruncateLog.append(bytes, .init(start: 9, clusters: 1), geometry))
        }
        #expect(bytes[0xc0..<0xd0] == hex("27002700 00000000 64000000 0a000000")[...])
        let volume = try parameters(512, clusters: 3585)
        try reading(bytes) { try TruncateLog.validate($0, volume) }
        let smaller = try parameters(512, clusters: 3584)
        #expect(throws: LayoutError.self) { try reading(bytes) { try TruncateLog.validate($0, smaller) } }
    }

    @Test("counts that the block cannot hold are refused")
    func hostile() throws {
        let volume = try SmallVolume.parameters()
        for (offset, value) in [(0xc0, 40), (0xc2, 40), (0xc3, 1)] as [(Int, UInt8)] {
            var bytes = SmallVolume.truncateLog
            bytes[offset] = value
            #expect(throws: LayoutError.self) { try reading(bytes) { try TruncateLog.validate($0, volume) } }
        }
    }
}

@Suite struct SlotTests {
    // Spec: ocfs2-disk 13, ocfs2-disk-2 B.7.
    @Test("slot maps of both forms: node 0 in slot 0 and node 5 in slot 2")
    func slotMaps() throws {
        for (form, expected) in [
            (SlotMap.Form.extended, "0100000000000000 0000000000000000 0100000005000000 0000000000000000"),
            (.old, "0000 ffff 0500 ffff"),
        ] {
            var bytes = [UInt8](repeating: form == .old ? 0xff : 0, count: 4 * form.entryByteCount)
            var map = try reading(bytes) { try SlotMap(decoding: $0, form: form, slotCount: 4) }
            #expect(map.nodes == [nil, nil, nil, nil])
            bytes.withUnsafeMutableBytes {
                map.occupy(slot: 0, node: 0, in: $0)
                map.occupy(slot: 2, node: 5, in: $0)
            }
            #expect(bytes == hex(expected))
            #expect(try reading(bytes) { try SlotMap(decoding: $0, form: form, slotCount: 4) } == map)
            #expect(map.slot(ofNode: 5) == 2)
            bytes.withUnsafeMutableBytes { map.release(slot: 2, in: $0) }
            #expect(map.nodes == [0, nil, nil, nil])
            #expect(try reading(bytes) { try SlotMap(decoding: $0, form: form, slotCount: 4) } == map)
            #expect(throws: LayoutError.self) {
                try reading(bytes.dropLast()) { _ = try SlotMap(decoding: $0, form: form, slotCount: 4) }
            }
        }
        #expect(SlotMap.block(ofSlot: 64, form: .extended, blockSize: 512) == 1)
    }

    @Test("heartbeat sectors follow each other from the first block")
    func heartbeat() {
        let region = HeartbeatRegion(startBlock: 284, blockSize: 1024)
        #expect(region.byteOffset(ofNode: 0) == 290_816)
        #expect(region.byteOffset(ofNode: 254) == 290_816 + 254 * 512)
    }

    @Test("system inodes have the names and flags of the table")
    func systemInodes() {
        #expect(SystemInode.globalBitmap.name == "global_bitmap")
        #expect(SystemInode.orphanDirectory.name(slot: 3) == "orphan_dir:0003")
        #expect(SystemInode.localGroupQuota.name(slot: 254) == "aquota.group:0254")
        #expect(SystemInode.localAlloc.flags.rawValue == 0xd1)
        #expect(SystemInode.truncateLog.flags.rawValue == 0x811)
        #expect(SystemInode.inodeAlloc.flags.rawValue == 0x491)
        #expect(SystemInode.allCases.filter { $0.exists(defaultFeatures) }.count == 11)
    }
}

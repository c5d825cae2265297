import LayoutKit
import OCFS2Layout
import Testing

@Suite struct DinodeTests {
    @Test("dinodes of a real volume pass the reading checks")
    func real() throws {
        let volume = try SmallVolume.parameters()
        for (bytes, number, content) in [
            (SmallVolume.rootDirectory, 17, Dinode.Content.inlineData), (SmallVolume.localAlloc, 34, .localAlloc),
            (SmallVolume.truncateLog, 36, .truncateLog), (SmallVolume.journal, 32, .extentList),
        ] as [([UInt8], UInt64, Dinode.Content)] {
            try reading(bytes) {
                try Dinode.validate($0, block: number, volume)
                #expect(Dinode.content(of: $0) == content)
            }
        }
    }

    @Test("the fields of a real root directory")
    func fields() {
        var bytes = SmallVolume.rootDirectory
        bytes.withUnsafeMutableBytes { bytes in
            let root = DinodeView(bytes)
            #expect(root.size == 312)
            #expect(root.fileType == .directory)
            #expect(bytes[Dinode.Field.mode] == 0o40755)
            #expect(root.linkCount(defaultFeatures) == 3)
            #expect(root.flags == [.valid, .system])
            #expect(root.dynamicFeatures == .inlineData)
            #expect(root.inlineData.count == 312)
            #expect(root.modificationTime == DiskTime(seconds: 0x6b01_7f5a, nanoseconds: 0))
            #expect(root.suballocation == Suballocation(slot: 0xffff, bit: 1, group: 0))
            #expect(root.suballocation.descriptorBlock(of: 17) == 16)
        }
    }

    @Test("a dinode made here is the one that the classic tool made")
    func made() throws {
        let volume = try SmallVolume.parameters()
        let made = block(512) { bytes in
            let journal = DinodeView(bytes)
            journal.initialize(
                DinodeView.Origin(
                    block: 32, generation: 0x49d0_446b,
                    suballocation: Suballocation(slot: Suballocation.globalSlot, bit: 16, group: 0), mode: 0o100644,
                    flags: [.valid, .system, .journal], time: DiskTime(seconds: 0x6b01_7f5a, nanoseconds: 0)),
                volume)
            journal.extentList.insert(ExtentRecord(cpos: 0, clusters: 1024, block: 552), at: 0)
            journal.clusters = 1024
            journal.size = 1024 * 4096
            BlockCheck.store(into: bytes, at: BlockCheck.dinodeOffset)
        }
        #expect(made == SmallVolume.journal)
    }

    @Test("links above 65535 use both halves, where the volume has them")
    func links() {
        var bytes = SmallVolume.rootDirectory
        bytes.withUnsafeMutableBytes {
            let inode = DinodeView($0)
            inode.setLinkCount(66001)
            #expect($0[Dinode.Field.linkCount] == 0x01d1)
            #expect($0[Dinode.Field.linkCountHigh] == 1)
            #expect(inode.linkCount(defaultFeatures) == 66001)
            #expect(inode.linkCount(VolumeFeatures()) == 465)
        }
    }

    // Spec: ocfs2-disk-2 B.7.
    @Test("device numbers", arguments: [(8, 17, 0x811), (259, 1_048_575, 0xfff1_03ff)] as [(UInt32, UInt32, UInt64)])
    func devices(major: UInt32, minor: UInt32, encoded: UInt64) {
        let device = DeviceNumber(major: major, minor: minor)
        #expect(device.encoded == encoded)
        #expect(DeviceNumber(encoded: encoded) == device)
    }

    @Test("inline data and extent lists take turns and leave an inline xattr area alone")
    func contents() throws {
        let volume = try parameters(1024)
        _ = block(1024) { bytes in
            let inode = DinodeView(bytes)
            inode.initialize(
                DinodeView.Origin(
                    block: 100, generation: 1, suballocation: Suballocation(slot: 0, bit: 1, group: 0),
                    mode: 0o100600, time: DiskTime(seconds: 0, nanoseconds: 0)), volume)
            inode.dynamicFeatures = [.hasXattr, .inlineXattr]
            bytes[Dinode.Field.xattrInlineSize] = 256
            bytes[768] = 7
            #expect(inode.beginInlineData(volume.geometry).count == 824 - 256)
            inode.inlineData[567] = 9
            #expect(bytes[767] == 9)
            inode.beginExtentList(volume.geometry)
            #expect(inode.extentList.capacity == 35)
            #expect(bytes[767] == 0)
            #expect(bytes[768] == 7)
            #expect(throws: Never.self) {
                try Dinode.validate(UnsafeRawBufferPointer(bytes), block: 100, volume)
            }
        }
    }

    /// A regular file of the 1 KiB volume with one extent, patched by `change`, judged.
    private func judge(
        mode: UInt16 = 0o100644, _ change: (UnsafeMutableRawBufferPointer) -> Void
    ) throws -> String? {
        let volume = try parameters(1024)
        let bytes = block(1024) { bytes in
            DinodeView(bytes).initialize(
                DinodeView.Origin(
                    block: 100, generation: 1, suballocation: Suballocation(slot: 0, bit: 1, group: 0), mode: mode,
                    time: DiskTime(seconds: 0, nanoseconds: 0)), volume)
            change(bytes)
        }
        do {
            try reading(bytes) { try Dinode.validate($0, block: 100, volume) }
            return nil
        } catch LayoutError.badValue(let field, _, _) {
            return field
        } catch {
            return "\(error)"
        }
    }

    @Test("each reading check names its field")
    func checks() throws {
        #expect(try judge { _ in } == nil)
        #expect(try judge { $0[Dinode.Field.block] = 101 } == "i_blkno")
        #expect(try judge { $0[Dinode.Field.flags] = 0 } == "i_flags")
        #expect(try judge { $0[Dinode.Field.volumeGeneration] = 0 } == "i_fs_generation")
        #expect(try judge { $0[Dinode.Field.mode] = 0o644 } == "i_mode")
        #expect(try judge { $0[Dinode.Field.deviceNumber] = 1 } == "i_rdev")
        #expect(try judge(mode: 0o60600) { $0[Dinode.Field.deviceNumber] = 1 } == nil)
        #expect(try judge(mode: 0o40755) { $0[Dinode.Field.size] = 1024 } == "i_clusters")
        #expect(try judge { $0[Dinode.Field.size] = 1 << 40 } == nil)
        #expect(try judge { $0[Dinode.Field.size] = 1 << 63 } == "i_size")
        #expect(try judge { $0[Dinode.Field.suballocSlot] = 2 } == "i_suballoc_slot")
        #expect(try judge { $0[Dinode.Field.suballocSlot] = 0xffff } == nil)
        #expect(
            try judge {
                $0[Dinode.Field.flags] = 5
                $0[Dinode.Field.orphanedSlot] = 2
            } == "i_orphaned_slot")
        #expect(
            try judge {
                $0[Dinode.Field.flags] = 0x2001
                $0[Dinode.Field.directIOOrphanedSlot] = 0xffff
            } == "i_dio_orphaned_slot")
        #expect(try judge { $0[Dinode.Field.dynamicFeatures] = 0x10 } == "i_refcount_loc")
        #expect(try judge { $0[Dinode.Field.dynamicFeatures] = 4 } == "i_xattr_inline_size")
        #expect(try judge { $0[LE16(offset: 0xc2)] = 52 } == "l_count")
        #expect(try judge { $0[LE16(offset: 0xc2)] = 0 } == "l_count")
        #expect(try judge { $0[LE16(offset: 0xc4)] = 52 } == "l_next_free_rec")
        #expect(try judge { $0[LE16(offset: 0xc0)] = 9 } == "l_tree_depth")
    }

    @Test("inline data and symlinks must fit")
    func inlineChecks() throws {
        let inline: (UInt16, UInt64) throws -> String? = { count, size in
            try judge {
                $0[Dinode.Field.dynamicFeatures] = 1
                $0[Dinode.Field.inlineCount] = count
                $0[Dinode.Field.size] = size
            }
        }
        #expect(try inline(824, 824) == nil)
        #expect(try inline(825, 0) == "id_count")
        #expect(try inline(100, 101) == "i_size of inline data")
        #expect(
            try judge {
                $0[Dinode.Field.dynamicFeatures] = 1
                $0[Dinode.Field.clusters] = 1
            } == "i_clusters of inline data")
        let symlink: (UInt64, String) throws -> String? = { size, text in
            try judge(mode: 0o120777) { bytes in
                bytes[Dinode.Field.size] = size
                bytes.part(offset: 0xc0, count: 832).clear(count: 832)
                bytes.part(offset: 0xc0, count: 832).copyBytes(from: text.utf8)
            }
        }
        #expect(try symlink(3, "abc") == nil)
        #expect(try symlink(2, "abc") == "i_size of a symlink")
        #expect(try symlink(4, "abc") == "i_size of a symlink")
        #expect(try symlink(832, "") == "i_size of a symlink")
        #expect(try symlink(831, String(repeating: "x", count: 831)) == nil)
        #expect(try symlink(831, String(repeating: "x", count: 832)) == "i_size of a symlink")
    }

    @Test("a shorter block is refused")
    func shortened() throws {
        let volume = try SmallVolume.parameters()
        #expect(throws: LayoutError.truncated(need: 512, have: 511)) {
            try reading(SmallVolume.rootDirectory.dropLast()) { try Dinode.validate($0, block: 17, volume) }
        }
    }
}

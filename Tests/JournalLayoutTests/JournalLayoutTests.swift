import LayoutKit
import Testing

@testable import JournalLayout

/// Bytes from lines of hexadecimal, filled with zeroes to `count`.
private func bytes(_ text: String, count: Int) -> [UInt8] {
    var bytes = text.split(whereSeparator: { $0.isWhitespace }).map { UInt8($0, radix: 16)! }
    bytes += [UInt8](repeating: 0, count: count - bytes.count)
    return bytes
}

private func encoded(_ count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xAA, count: count)
    bytes.withUnsafeMutableBytes(body)
    return bytes
}

struct JournalSuperblockTests {
    // Spec: ocfs2-disk-2 B.3, journal of a volume made by mkfs.ocfs2 with blocks of 512 bytes.
    private let golden = bytes(
        """
        c0 3b 39 98 00 00 00 04 00 00 00 00 00 00 02 00
        00 00 20 00 00 00 00 02 00 00 00 01 00 00 00 01
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        01 23 45 67 89 ab cd ef 01 23 45 67 89 ab cd ef
        00 00 00 01
        """, count: 512)
    private let uuid: [UInt8] = [
        0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
    ]

    @Test("The superblock of mkfs.ocfs2 is read")
    func reads() throws {
        let superblock = try golden.withUnsafeBytes { bytes in
            try JournalSuperblock(decoding: bytes)
        }
        #expect(superblock == JournalSuperblock(blockSize: 512, blockCount: 8192, uuid: uuid))
        #expect(superblock.first == 2 && superblock.start == 1 && superblock.sequence == 1)
        #expect(superblock.tagFormat == .narrow)
        try superblock.check(blockSize: 512, blockCount: 8192)
    }

    @Test("The superblock is written as mkfs.ocfs2 does, and bytes of others are kept")
    func writes() {
        var block = [UInt8](repeating: 0, count: 512)
        block[500] = 7
        block.withUnsafeMutableBytes {
            JournalSuperblock(blockSize: 512, blockCount: 8192, uuid: uuid).encode(into: $0)
        }
        var expected = golden
        expected[500] = 7
        #expect(block == expected)
    }

    @Test("Every cut of the superblock is an error")
    func truncated() {
        for count in 0..<JournalSuperblock.byteCount {
            #expect(throws: LayoutError.self) {
                try golden[..<count].withUnsafeBytes { bytes in
                    _ = try JournalSuperblock(decoding: bytes)
                }
            }
        }
    }

    @Test("A superblock that no log can have is refused with the name of the field")
    func refuses() throws {
        func check(_ change: (inout JournalSuperblock) -> Void) -> String {
            var superblock = JournalSuperblock(blockSize: 1024, blockCount: 4096, uuid: uuid)
            change(&superblock)
            do throws(LayoutError) {
                try superblock.check(blockSize: 1024, blockCount: 4096)
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(check { _ in } == "")
        #expect(check { $0.blockSize = 512 }.contains("s_blocksize"))
        #expect(check { $0.blockCount = 4097 }.contains("s_maxlen"))
        #expect(check { $0.blockCount = 1023 }.contains("s_maxlen"))
        #expect(check { $0.first = 0 }.contains("s_first"))
        #expect(check { $0.first = 3 }.contains("s_first"))
        #expect(check { $0.start = 4096 }.contains("s_start"))
        #expect(check { $0.features = [.checksumV3, .revoke] }.contains("no checksum-v3"))
        #expect(check { $0.readOnlyCompatible = 1 }.contains("s_feature_ro_compat"))
        #expect(check { $0.features = .served } == "")
    }
}

struct JournalDescriptorTests {
    // Spec: ocfs2-disk 14.3, first transaction after mount, blocks of 1024 bytes.
    private let golden = bytes(
        """
        c0 3b 39 98 00 00 00 01 00 00 00 02
        00 00 00 14 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 92 24 00 00 00 02  00 00 92 26 00 00 00 02  00 00 00 09 00 00 00 0a
        """, count: 1024)
    // The same chapter, 64-bit tags.
    private let goldenWide = bytes(
        """
        c0 3b 39 98 00 00 00 01 00 00 00 21
        00 00 ae f9 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 2a 62 00 00 00 0a 00 00 00 00
        """, count: 1024)

    @Test("The kernel's descriptor is read and written byte by byte")
    func narrow() {
        let blocks: [UInt64] = [20, 37412, 37414, 9]
        let tags = golden.withUnsafeBytes { JournalDescriptor.tags(decoding: $0, .narrow) }
        #expect(tags.map(\.block) == blocks)
        #expect(tags.map(\.flags) == [[], .sameUUID, .sameUUID, [.sameUUID, .last]])
        let written = encoded(1024) {
            JournalDescriptor.encode(blocks.map { JournalTag(block: $0) }, sequence: 2, .narrow, into: $0)
        }
        #expect(written == golden)
    }

    @Test("A descriptor with 64-bit tags is read and written byte by byte")
    func wide() {
        let tags = goldenWide.withUnsafeBytes { JournalDescriptor.tags(decoding: $0, .wide) }
        #expect(tags.map(\.block) == [0xaef9, 10850])
        let written = encoded(1024) {
            JournalDescriptor.encode(tags, sequence: 33, .wide, into: $0)
        }
        #expect(written == goldenWide)
    }

    @Test("Block numbers above 2^32 live in the high half of a wide tag")
    func high() {
        let block: UInt64 = 0x1_2345_6789
        let written = encoded(512) {
            JournalDescriptor.encode([JournalTag(block: block, flags: .escaped)], sequence: 1, .wide, into: $0)
        }
        let tags = written.withUnsafeBytes { JournalDescriptor.tags(decoding: $0, .wide) }
        #expect(tags == [JournalTag(block: block, flags: [.escaped, .last])])
    }

    @Test("A descriptor takes as many tags as the kernel's")
    func counts() {
        #expect(JournalTagFormat.narrow.tagsPerDescriptor(blockSize: 512) == 58)
        #expect(JournalTagFormat.wide.tagsPerDescriptor(blockSize: 1024) == 81)
        #expect(JournalTagFormat.narrow.tagsPerDescriptor(blockSize: 4096) == 506)
        #expect(JournalTagFormat.wide.tagsPerDescriptor(blockSize: 4096) == 337)
    }

    @Test("A full descriptor reads back", arguments: [512, 1024, 2048, 4096], [JournalTagFormat.narrow, .wide])
    func full(blockSize: Int, format: JournalTagFormat) {
        let tags = (0..<format.tagsPerDescriptor(blockSize: blockSize)).map { JournalTag(block: UInt64($0) * 77) }
        let written = encoded(blockSize) { JournalDescriptor.encode(tags, sequence: 9, format, into: $0) }
        let read = written.withUnsafeBytes { JournalDescriptor.tags(decoding: $0, format) }
        #expect(read.map(\.block) == tags.map(\.block))
    }

    @Test("Tags without an end stop at the end of the block")
    func endless() {
        let zeroes = [UInt8](repeating: 0, count: 512)
        let ones = [UInt8](repeating: 0xFF, count: 512)
        #expect(zeroes.withUnsafeBytes { JournalDescriptor.tags(decoding: $0, .narrow) }.count == 21)
        #expect(ones.withUnsafeBytes { JournalDescriptor.tags(decoding: $0, .narrow) }.count == 1)
        #expect(ones[..<5].withUnsafeBytes { JournalDescriptor.tags(decoding: $0, .narrow) }.isEmpty)
    }
}

struct JournalCommitTests {
    @Test("The kernel's commit block is read and written byte by byte")
    func golden() throws {
        var golden = bytes("c0 3b 39 98 00 00 00 02 00 00 00 02", count: 1024)
        golden.replaceSubrange(0x30..<0x3C, with: bytes("00 00 00 00 6b 01 63 50 36 1f 0c d0", count: 12))
        let commit = try golden.withUnsafeBytes { bytes in try JournalCommit(decoding: bytes) }
        #expect(commit == JournalCommit(sequence: 2, seconds: 0x6b01_6350, nanoseconds: 0x361f_0cd0))
        #expect(encoded(1024) { commit.encode(into: $0) } == golden)
    }

    @Test("A block that is not a commit block is an error")
    func other() {
        let descriptor = bytes("c0 3b 39 98 00 00 00 01 00 00 00 02", count: 512)
        for wrong in [descriptor, Array(descriptor[..<40]), []] {
            #expect(throws: LayoutError.self) {
                try wrong.withUnsafeBytes { bytes in _ = try JournalCommit(decoding: bytes) }
            }
        }
    }
}

struct JournalRevokeTests {
    @Test("A revoke block reads back", arguments: [JournalTagFormat.narrow, .wide])
    func roundTrip(format: JournalTagFormat) throws {
        let written = encoded(512) { JournalRevoke.encode([5, 77, 0xFFFF_FFFF], sequence: 3, format, into: $0) }
        let read = try written.withUnsafeBytes { bytes in
            try JournalRevoke.blocks(decoding: bytes, format)
        }
        #expect(read == [5, 77, 0xFFFF_FFFF])
    }

    @Test("A count that leaves the block is an error, half a number is none")
    func hostile() throws {
        var block = encoded(512) { JournalRevoke.encode([1, 2], sequence: 3, .wide, into: $0) }
        func read() throws -> [UInt64] {
            try block.withUnsafeBytes { bytes in try JournalRevoke.blocks(decoding: bytes, .wide) }
        }
        for count in [UInt32(0), 15, 513, .max] {
            block.withUnsafeMutableBytes { $0[BE32(offset: 12)] = count }
            #expect(throws: LayoutError.self) { try read() }
        }
        block.withUnsafeMutableBytes { $0[BE32(offset: 12)] = 31 }
        #expect(try read() == [1])
    }
}

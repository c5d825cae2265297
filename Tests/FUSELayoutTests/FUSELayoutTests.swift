import FUSELayout
import LayoutKit
import Testing

/// Bytes from hexadecimal digits; blanks are ignored.
private func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.filter { !$0.isWhitespace })
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
}

private func encoded(_ count: Int, _ encode: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
    // Not zero, to see that an encoder writes every byte.
    var result = [UInt8](repeating: 0xee, count: count)
    result.withUnsafeMutableBytes { encode($0) }
    return result
}

/// Decodes a copy that stands alone in memory, so that a sanitizer sees an access outside.
private func decoding<Value>(
    _ input: [UInt8], _ decode: (UnsafeRawBufferPointer) throws(LayoutError) -> Value
) throws(LayoutError) -> Value {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: input.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: input)
    return try decode(UnsafeRawBufferPointer(copy))
}

/// The golden bytes, both ways, and one byte less.
private func check<Value: FixedLayout & Equatable>(_ value: Value, _ hex: String) throws {
    let golden = bytes(hex)
    #expect(golden.count == Value.byteCount)
    #expect(encoded(Value.byteCount) { value.encode(into: $0) } == golden)
    #expect(try decoding(golden, Value.init(decoding:)) == value)
    #expect(throws: LayoutError.truncated(need: Value.byteCount, have: Value.byteCount - 1)) {
        try decoding(Array(golden.dropLast()), Value.init(decoding:))
    }
}

@Suite struct FUSELayoutTests {
    @Test("a request's head is 40 bytes and its length is that of the request")
    func requestHeader() throws {
        let golden = bytes("28000000 0f000000 0400000000000000 0200000000000000 01000000 02000000 03000000 00000000")
        let value = FUSERequestHeader(length: 40, opcode: .read, unique: 4, node: 2, user: 1, group: 2, process: 3)
        #expect(encoded(40) { value.encode(into: $0) } == golden)
        #expect(try decoding(golden, FUSERequestHeader.init(decoding:)) == value)
        #expect(throws: LayoutError.self) { try decoding(Array(golden.dropLast()), FUSERequestHeader.init(decoding:)) }
        #expect(throws: LayoutError.badLength(of: "request", found: 40, expected: "41")) {
            try decoding(golden + [0], FUSERequestHeader.init(decoding:))
        }
    }

    @Test("a reply's head carries the error as a negative number")
    func replyHeader() throws {
        try check(FUSEReplyHeader(length: 16, errno: 2, unique: 6), "10000000 feffffff 0600000000000000")
        #expect(throws: LayoutError.self) {
            try decoding(bytes("10000000 02000000 0600000000000000"), FUSEReplyHeader.init(decoding:))
        }
    }

    @Test("INIT of a kernel before 7.36 is 16 bytes, of newer ones 64 with a second word of flags")
    func initRequest() throws {
        let old = bytes("07000000 1f000000 00000200 fbffff03")
        let request = try decoding(old, FUSEInitRequest.init(decoding:))
        #expect(request.minor == 31 && request.readaheadMax == 131072)
        #expect(request.flags.contains(.maxPages) && !request.flags.contains(.initExtended))
        #expect(throws: LayoutError.self) { try decoding(Array(old.dropLast()), FUSEInitRequest.init(decoding:)) }
        // As Linux 6.18 sent it.
        let new = bytes("07000000 2d000000 00000200 fbffff73 fd050000") + [UInt8](repeating: 0, count: 44)
        let newer = try decoding(new, FUSEInitRequest.init(decoding:))
        #expect(newer.flags.rawValue == 0x5fd_73ff_fffb && newer.flags.contains(.directIOAllowMmap))
        #expect(encoded(64) { newer.encode(into: $0) } == new)
    }

    @Test("the second word of flags does not count without INIT_EXT")
    func initWithoutExtension() throws {
        let input = bytes("07000000 2d000000 00000200 fbffff33 fd050000") + [UInt8](repeating: 0, count: 44)
        #expect(try decoding(input, FUSEInitRequest.init(decoding:)).flags.rawValue == 0x33ff_fffb)
    }

    @Test("the reply to INIT is 64 bytes")
    func initReply() throws {
        try check(
            FUSEInitReply(
                readaheadMax: 131072, flags: [.asyncRead, .maxPages, .directIOAllowMmap], backgroundMax: 128,
                congestionThreshold: 96, writeByteCountMax: 524288, pagesMax: 128),
            """
            07000000 26000000 00000200 01004000 8000 6000 00000800 01000000 8000 0000 10000000
            00000000 00000000 00000000 00000000 00000000 00000000 00000000
            """)
    }

    private var attributes: FUSEAttributes {
        var value = FUSEAttributes(inode: 2, sizeBytes: 1 << 20, blocks: 2048, mode: 0o100600)
        value.atime = FUSEAttributes.Time(seconds: -1, nanoseconds: 1)
        value.mtime = FUSEAttributes.Time(seconds: 2, nanoseconds: 3)
        value.ctime = FUSEAttributes.Time(seconds: 4, nanoseconds: 5)
        value.links = 1
        value.user = 6
        value.group = 7
        value.device = 8
        value.flags = 9
        return value
    }

    private let attributesHex = """
        0200000000000000 0000100000000000 0008000000000000 ffffffffffffffff 0200000000000000 0400000000000000
        01000000 03000000 05000000 80810000 01000000 06000000 07000000 08000000 00100000 09000000
        """

    @Test("attributes are 88 bytes, in replies behind their timeouts")
    func attributeReplies() throws {
        try check(attributes, attributesHex)
        try check(
            FUSEAttributesReply(timeout: FUSETimeout(seconds: 1, nanoseconds: 2), attributes: attributes),
            "0100000000000000 02000000 00000000" + attributesHex)
        try check(
            FUSEEntryReply(
                node: 2, generation: 3, nameTimeout: FUSETimeout(seconds: 4, nanoseconds: 5),
                attributesTimeout: FUSETimeout(seconds: 6, nanoseconds: 7), attributes: attributes),
            "0200000000000000 0300000000000000 0400000000000000 0600000000000000 05000000 07000000" + attributesHex)
    }

    @Test("SETATTR is 88 bytes with holes")
    func setAttributes() throws {
        var value = FUSESetAttributesRequest(valid: [.size, .handle])
        value.handle = 1
        value.sizeBytes = 4096
        value.mode = 0o644
        value.user = 5
        value.group = 6
        try check(
            value,
            """
            48000000 00000000 0100000000000000 0010000000000000 0000000000000000 0000000000000000 0000000000000000
            0000000000000000 00000000 00000000 00000000 a4010000 00000000 05000000 06000000 00000000
            """)
    }

    @Test("requests on files have their layouts")
    func fileRequests() throws {
        try check(FUSEOpenRequest(flags: 0x8002), "02800000 00000000")
        try check(
            FUSEOpenReply(handle: 1, flags: [.directIO, .parallelDirectWrites]), "0100000000000000 41000000 00000000")
        try check(
            FUSETransferRequest(handle: 1, offset: 4096, size: 512, writeFlags: .cache, lockOwner: 3, flags: 2),
            "0100000000000000 0010000000000000 00020000 01000000 0300000000000000 02000000 00000000")
        try check(FUSEWriteReply(size: 512), "00020000 00000000")
        try check(
            FUSEFallocateRequest(handle: 1, offset: 2, length: 3, mode: [.punchHole, .keepSize]),
            "0100000000000000 0200000000000000 0300000000000000 03000000 00000000")
        try check(
            FUSESeekRequest(handle: 1, offset: 2, whence: .hole), "0100000000000000 0200000000000000 04000000 00000000")
        try check(FUSESeekReply(offset: 9), "0900000000000000")
        try check(FUSEFsyncRequest(handle: 1, isDataOnly: true), "0100000000000000 01000000 00000000")
        try check(
            FUSEReleaseRequest(handle: 1, flags: 2, releaseFlags: 1, lockOwner: 4),
            "0100000000000000 02000000 01000000 0400000000000000")
        try check(FUSEForgetRequest(lookupCount: 3), "0300000000000000")
        try check(FUSEInterruptRequest(unique: 8), "0800000000000000")
    }

    @Test("an unknown whence is refused")
    func badWhence() {
        #expect(throws: LayoutError.badValue(field: "whence", found: 1, expected: "3 or 4")) {
            try decoding(
                bytes("0100000000000000 0200000000000000 01000000 00000000"), FUSESeekRequest.init(decoding:))
        }
    }

    @Test("the reply to STATFS is 80 bytes")
    func statfs() throws {
        try check(
            FUSEStatfsReply(
                blocks: 1, blocksFree: 2, blocksAvailable: 3, files: 4, filesFree: 5, blockSize: 4096,
                fragmentSize: 512),
            """
            0100000000000000 0200000000000000 0300000000000000 0400000000000000 0500000000000000
            00100000 ff000000 00020000 00000000 0000000000000000 0000000000000000 0000000000000000
            """)
    }

    @Test("BATCH_FORGET lists nodes; a count beyond the data is refused")
    func batchForget() throws {
        let value = FUSEBatchForgetRequest(items: [
            FUSEBatchForgetRequest.Item(node: 2, lookupCount: 3), FUSEBatchForgetRequest.Item(node: 4, lookupCount: 5),
        ])
        let golden = bytes(
            "02000000 00000000 0200000000000000 0300000000000000 0400000000000000 0500000000000000")
        #expect(encoded(value.byteCount) { value.encode(into: $0) } == golden)
        #expect(try decoding(golden, FUSEBatchForgetRequest.init(decoding:)) == value)
        #expect(throws: LayoutError.self) {
            try decoding(Array(golden.dropLast()), FUSEBatchForgetRequest.init(decoding:))
        }
    }

    @Test("a directory entry is padded to eight bytes")
    func directoryEntry() {
        let value = FUSEDirectoryEntry(inode: 2, nextCookie: 3, type: .regular, name: Array("drbd0".utf8))
        #expect(
            encoded(value.byteCount) { value.encode(into: $0) }
                == bytes("0200000000000000 0300000000000000 05000000 08000000 6472626430 000000"))
    }

    @Test("a name ends with NUL and is not empty")
    func name() throws {
        #expect(
            try decoding(bytes("723000"), { bytes throws(LayoutError) in Array(try FUSEName.decode(bytes)) }) == [
                0x72, 0x30,
            ])
        for bad in ["7230", "00", ""] {
            #expect(throws: LayoutError.self) {
                try decoding(bytes(bad), { bytes throws(LayoutError) in Array(try FUSEName.decode(bytes)) })
            }
        }
    }

    @Test("only four kinds of request get no answer")
    func unanswered() {
        #expect(FUSEOpcode.allCases.filter { !$0.isAnswered } == [.forget, .interrupt, .notifyReply, .batchForget])
    }
}

import LayoutKit
import NBDLayout
import Testing

@Suite struct HandshakeTests {
    let greeting = Array("NBDMAGICIHAVEOPT".utf8) + [0, 3]

    @Test("the greeting is NBDMAGIC, IHAVEOPT and the flags")
    func greetingBytes() throws {
        let value = NBDGreeting(flags: [.fixedNewstyle, .noZeroes])
        #expect(encoded(NBDGreeting.byteCount) { value.encode(into: $0) } == greeting)
        #expect(try decoding(greeting, NBDGreeting.init(decoding:)) == value)
        expectNeedsAll(greeting, NBDGreeting.init(decoding:))
    }

    @Test("an old-style greeting is refused by its second magic number")
    func oldStyle() {
        let old = Array("NBDMAGIC".utf8) + bytes("0000 4202 8186 1253 0003")
        #expect(throws: LayoutError.badMagic(found: 0x0000_4202_8186_1253, expected: NBDOptionHeader.magic)) {
            try decoding(old, NBDGreeting.init(decoding:))
        }
    }

    @Test("client flags are four bytes")
    func clientFlags() throws {
        let flags = try decoding(bytes("00000003"), NBDClientFlags.init(decoding:))
        #expect(flags == [.fixedNewstyle, .noZeroes])
        #expect(try decoding(bytes("00000004"), NBDClientFlags.init(decoding:)).isSubset(of: .known) == false)
        expectNeedsAll(bytes("00000001"), NBDClientFlags.init(decoding:))
    }

    @Test("an option head carries magic, option and length")
    func optionHeader() throws {
        let golden = Array("IHAVEOPT".utf8) + bytes("00000007 0000000c")
        let value = NBDOptionHeader(option: NBDOptionCode.go.rawValue, dataByteCount: 12)
        #expect(encoded(NBDOptionHeader.byteCount) { value.encode(into: $0) } == golden)
        #expect(try decoding(golden, NBDOptionHeader.init(decoding:)) == value)
        expectNeedsAll(golden, NBDOptionHeader.init(decoding:))
    }

    @Test("option data longer than 64 KiB are refused before they are received")
    func longOption() {
        let head = Array("IHAVEOPT".utf8) + bytes("00000001 00010001")
        #expect(throws: LayoutError.badLength(of: "option data", found: 65537, expected: "at most 65536")) {
            try decoding(head, NBDOptionHeader.init(decoding:))
        }
    }

    @Test("GO names an export and the information wanted")
    func infoRequest() throws {
        let golden = bytes("00000002") + Array("r0".utf8) + bytes("0002 0003 0001")
        let value = NBDInfoRequest(exportName: "r0", information: [.blockSize, .name])
        #expect(encoded(value.byteCount) { value.encode(into: $0) } == golden)
        #expect(try decoding(golden, NBDInfoRequest.init(decoding:)) == value)
        expectNeedsAll(golden, NBDInfoRequest.init(decoding:))
    }

    @Test("unknown and repeated information requests are ignored")
    func unknownInformation() throws {
        let input = bytes("00000000 0004 0063 0003 0003 0000")
        let value = try decoding(input, NBDInfoRequest.init(decoding:))
        #expect(value.information == [.blockSize, .export])
    }

    @Test(
        "a GO whose lengths do not fit is refused",
        arguments: [
            ("ffffffff 7230 0000", LayoutError.badLength(of: "export name", found: 0xffff_ffff, expected: "at most 2")),
            ("00000002 7230 0001", .truncated(need: 10, have: 8)),
            ("00000000 0000 00", .badLength(of: "option data", found: 7, expected: "6")),
            ("00000002 72ff 0000", .badText(field: "export name", reason: "not UTF-8 without NUL")),
            ("00000002 7200 0000", .badText(field: "export name", reason: "not UTF-8 without NUL")),
        ])
    func badInfoRequest(hex: String, error: LayoutError) {
        #expect(throws: error) { try decoding(bytes(hex), NBDInfoRequest.init(decoding:)) }
    }

    @Test("a name longer than 4096 bytes is refused")
    func longName() {
        let name = [UInt8](repeating: 0x61, count: 4097)
        #expect(throws: LayoutError.badLength(of: "export name", found: 4097, expected: "at most 4096")) {
            try decoding(name, NBDExportNameRequest.init(decoding:))
        }
        #expect(throws: Never.self) { try decoding(Array(name.dropLast()), NBDExportNameRequest.init(decoding:)) }
    }

    @Test("SET_META_CONTEXT names an export and queries")
    func metaContextRequest() throws {
        let golden = bytes("00000002") + Array("r0".utf8) + bytes("00000001 0000000f") + Array("base:allocation".utf8)
        let value = NBDMetaContextRequest(exportName: "r0", queries: ["base:allocation"])
        #expect(encoded(value.byteCount) { value.encode(into: $0) } == golden)
        #expect(try decoding(golden, NBDMetaContextRequest.init(decoding:)) == value)
        expectNeedsAll(golden, NBDMetaContextRequest.init(decoding:))
    }

    @Test(
        "queries whose number or length does not fit are refused",
        arguments: [
            ("00000000 00000101", LayoutError.badLength(of: "list of queries", found: 257, expected: "at most 256")),
            ("00000000 00000001", .truncated(need: 12, have: 8)),
            ("00000000 00000001 00000005 61", .badLength(of: "query", found: 5, expected: "at most 1")),
            ("00000000 00000000 00", .badLength(of: "option data", found: 9, expected: "8")),
        ])
    func badMetaContextRequest(hex: String, error: LayoutError) {
        #expect(throws: error) { try decoding(bytes(hex), NBDMetaContextRequest.init(decoding:)) }
    }

    @Test("an option's reply has a head of 20 bytes")
    func optionReply() throws {
        let golden = bytes("0003e889045565a9 00000003 80000002 00000005")
        let value = NBDOptionReplyHeader(option: 3, type: .errorPolicy, dataByteCount: 5)
        #expect(encoded(NBDOptionReplyHeader.byteCount) { value.encode(into: $0) } == golden)
        #expect(try decoding(golden, NBDOptionReplyHeader.init(decoding:)) == value)
        expectNeedsAll(golden, NBDOptionReplyHeader.init(decoding:))
        #expect(value.type.isError && !NBDOptionReplyType.acknowledge.isError)
    }

    @Test(
        "each kind of information has its layout",
        arguments: [
            (
                "0000 0000000000100000 010d",
                NBDInformation.export(
                    sizeBytes: 1 << 20, flags: [.hasFlags, .sendFlush, .sendFUA, .canMultiConn])
            ),
            ("0001 7230", .name("r0")),
            ("0002 6120 62", .description("a b")),
            ("0003 00000200 00001000 02000000", .blockSize(minimum: 512, preferred: 4096, maximum: 32 << 20)),
        ])
    func information(hex: String, value: NBDInformation) throws {
        #expect(encoded(value.byteCount) { value.encode(into: $0) } == bytes(hex))
        #expect(try decoding(bytes(hex), NBDInformation.init(decoding:)) == value)
    }

    @Test("export and block size information are not taken when short")
    func shortInformation() {
        expectNeedsAll(bytes("0000 0000000000100000 010d"), NBDInformation.init(decoding:))
        expectNeedsAll(bytes("0003 00000200 00001000 02000000"), NBDInformation.init(decoding:))
    }

    @Test("an export in a list has its name counted and its description behind")
    func serverEntry() throws {
        let golden = bytes("00000002 7230 6469736b")
        let value = NBDServerEntry(name: "r0", description: "disk")
        #expect(encoded(value.byteCount) { value.encode(into: $0) } == golden)
        #expect(try decoding(golden, NBDServerEntry.init(decoding:)) == value)
    }

    @Test("a metadata context has an id and a name")
    func metaContextEntry() throws {
        let golden = bytes("00000001") + Array("base:allocation".utf8)
        let value = NBDMetaContextEntry(id: 1, name: "base:allocation")
        #expect(encoded(value.byteCount) { value.encode(into: $0) } == golden)
        #expect(try decoding(golden, NBDMetaContextEntry.init(decoding:)) == value)
    }

    @Test("EXPORT_NAME is answered with size and flags, and 124 zero bytes unless they are waived")
    func exportNameReply() throws {
        let golden = bytes("0000000040000000 0001")
        let value = NBDExportNameReply(sizeBytes: 1 << 30, flags: .hasFlags)
        #expect(encoded(10) { value.encode(into: $0) } == golden)
        #expect(
            encoded(NBDExportNameReply.byteCount) { value.encode(into: $0) }
                == golden + [UInt8](repeating: 0, count: 124))
        #expect(try decoding(golden, NBDExportNameReply.init(decoding:)) == value)
    }
}

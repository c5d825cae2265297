import LayoutKit
import NBDLayout
import Testing

@Suite struct TransmissionTests {
    let handle: UInt64 = 0x0102_0304_0506_0708

    @Test("a request is 28 bytes")
    func request() throws {
        let golden = bytes("25609513 0001 0001 0102030405060708 0000000000001000 00002000")
        let value = NBDRequest(
            command: .write, flags: .forceUnitAccess, handle: handle, offset: 4096, length: 8192)
        #expect(encoded(NBDRequest.byteCount) { value.encode(into: $0) } == golden)
        #expect(try decoding(golden, NBDRequest.init(decoding:)) == value)
        expectNeedsAll(golden, NBDRequest.init(decoding:))
    }

    @Test("a request with another magic number is refused")
    func badMagic() {
        let input = bytes("25609514 0000 0000 0102030405060708 0000000000001000 00002000")
        #expect(throws: LayoutError.badMagic(found: 0x2560_9514, expected: 0x2560_9513)) {
            try decoding(input, NBDRequest.init(decoding:))
        }
    }

    @Test("a simple reply is 16 bytes")
    func simpleReply() throws {
        let golden = bytes("67446698 0000001c 0102030405060708")
        let value = NBDSimpleReply(error: .noSpace, handle: handle)
        #expect(encoded(NBDSimpleReply.byteCount) { value.encode(into: $0) } == golden)
        #expect(try decoding(golden, NBDSimpleReply.init(decoding:)) == value)
        expectNeedsAll(golden, NBDSimpleReply.init(decoding:))
    }

    @Test("the end of a structured reply without data is a chunk of 20 bytes")
    func noneChunk() throws {
        let golden = bytes("668e33ef 0001 0000 0102030405060708 00000000")
        let value = NBDChunkHeader(isLast: true, type: .none, handle: handle, payloadByteCount: 0)
        #expect(encoded(NBDChunkHeader.byteCount) { value.encode(into: $0) } == golden)
        #expect(try decoding(golden, NBDChunkHeader.init(decoding:)) == value)
        expectNeedsAll(golden, NBDChunkHeader.init(decoding:))
    }

    @Test("a data chunk counts the offset in its length")
    func dataChunk() {
        let golden = bytes("668e33ef 0001 0001 0102030405060708 00000208 0000000000001000")
        let value = NBDDataChunk(isLast: true, handle: handle, offset: 4096, dataByteCount: 512)
        #expect(encoded(NBDDataChunk.byteCount) { value.encode(into: $0) } == golden)
    }

    @Test("a hole chunk has twelve bytes of payload")
    func holeChunk() {
        let golden = bytes("668e33ef 0000 0002 0102030405060708 0000000c 0000000000001000 00000200")
        let value = NBDHoleChunk(isLast: false, handle: handle, offset: 4096, holeByteCount: 512)
        #expect(encoded(NBDHoleChunk.byteCount) { value.encode(into: $0) } == golden)
    }

    @Test("an error chunk carries the error and a text")
    func errorChunk() {
        let golden = bytes("668e33ef 0001 8001 0102030405060708 00000009 00000016 0003 626164")
        let value = NBDErrorChunk(isLast: true, handle: handle, error: .invalid, text: "bad")
        #expect(encoded(value.byteCount) { value.encode(into: $0) } == golden)
    }

    @Test("an error chunk with a place has the offset behind the text")
    func errorOffsetChunk() {
        let golden = bytes("668e33ef 0000 8002 0102030405060708 00000011 00000005 0003 626164 0000000000001000")
        let value = NBDErrorChunk(isLast: false, handle: handle, error: .inputOutput, text: "bad", offset: 4096)
        #expect(encoded(value.byteCount) { value.encode(into: $0) } == golden)
    }

    @Test("a block status chunk lists extents of one context")
    func blockStatusChunk() {
        let golden = bytes("668e33ef 0001 0005 0102030405060708 00000014 00000001 00001000 00000000 00002000 00000003")
        let value = NBDBlockStatusChunk(
            isLast: true, handle: handle, contextID: 1,
            extents: [NBDExtent(length: 4096, status: []), NBDExtent(length: 8192, status: [.hole, .zero])])
        #expect(encoded(value.byteCount) { value.encode(into: $0) } == golden)
    }

    @Test(
        "errors of Linux become those of the protocol",
        arguments: [
            (Int32(1), NBDErrorCode.notPermitted), (30, .notPermitted), (5, .inputOutput), (12, .outOfMemory),
            (22, .invalid), (28, .noSpace), (122, .noSpace), (27, .noSpace), (75, .overflow), (95, .notSupported),
            (108, .shutdown), (121, .inputOutput),
        ])
    func errors(errno: Int32, code: NBDErrorCode) {
        #expect(NBDErrorCode(errno: errno) == code)
    }
}

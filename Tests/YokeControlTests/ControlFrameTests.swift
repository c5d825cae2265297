import Testing

@testable import YokeControl

@Suite struct ControlFrameTests {
    @Test("a request survives the way over the wire")
    func requestRoundTrip() throws {
        let request = ControlRequest(command: ["drbdsetup", "primary", "0", "a \"quoted\"\nline"], node: "alpha")
        let bytes = try ControlFrame.encode(request)
        #expect(try ControlFrame.length(of: bytes.prefix(4)) == bytes.count - 4)
        #expect(try ControlFrame.decode(ControlRequest.self, from: Array(bytes.dropFirst(4))) == request)
    }

    @Test(
        "each kind of reply survives",
        arguments: [.standardOutput("x"), .standardError("\u{e9}"), .exit(-3)] as [ControlReply])
    func replyRoundTrip(reply: ControlReply) throws {
        let bytes = try ControlFrame.encode(reply)
        #expect(try ControlFrame.decode(ControlReply.self, from: Array(bytes.dropFirst(4))) == reply)
    }

    @Test("a length above the limit is refused before anything is allocated")
    func oversize() {
        #expect(throws: ControlError.self) { try ControlFrame.length(of: [0x00, 0x10, 0x00, 0x01]) }
        #expect(throws: ControlError.self) { try ControlFrame.length(of: [0xff, 0xff, 0xff, 0xff]) }
    }

    @Test("bytes that are no JSON are an error, not a crash")
    func hostileBody() {
        for body in [[], [0x00], Array("{\"command\":".utf8), Array("[1,2]".utf8), [0xff, 0xfe, 0x7b]] as [[UInt8]] {
            #expect(throws: ControlError.self) { try ControlFrame.decode(ControlRequest.self, from: body) }
        }
    }

    @Test("a long text is cut between characters and loses nothing")
    func pieces() {
        let text = String(repeating: "\u{20ac}", count: 100_000)
        let pieces = ControlFrame.pieces(of: text)
        #expect(pieces.count == 3)
        #expect(pieces.allSatisfy { $0.utf8.count <= ControlFrame.textByteCountMax })
        #expect(pieces.joined() == text)
    }
}

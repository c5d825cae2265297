import EngineKit
import NBDLayout
import NBDServer
import Testing

@Suite struct TransmissionTests {
    @Test("a read is answered with the backend's bytes by a simple reply")
    func simpleRead() throws {
        let conversation = Conversation.inTransmission()
        conversation.request(.read, handle: 7, offset: 4096, length: 1024)
        guard case .read(let id, offset: 4096, let slice)? = conversation.takeActions().first else {
            Issue.record("no read")
            return
        }
        #expect(slice.count == 1024 && UInt(bitPattern: slice.base) % 4096 == 0)
        slice.bytes.copyBytes(from: pattern(1024))
        conversation.session.completed(id, status: 0, into: &conversation.actions)
        let output = conversation.takeOutput()
        #expect(try decoding(output, NBDSimpleReply.init(decoding:)) == NBDSimpleReply(error: nil, handle: 7))
        #expect(Array(output.dropFirst(NBDSimpleReply.byteCount)) == pattern(1024))
    }

    @Test(
        "a read is answered by one chunk when structured replies are agreed",
        arguments: [NBDCommandFlags(), .dontFragment])
    func structuredRead(flags: NBDCommandFlags) throws {
        let conversation = Conversation.inTransmission(structured: true)
        conversation.request(.read, flags: flags, handle: 7, offset: 512, length: 512)
        guard case .read(let id, _, let slice)? = conversation.takeActions().first else {
            Issue.record("no read")
            return
        }
        slice.bytes.copyBytes(from: pattern(512))
        conversation.session.completed(id, status: 0, into: &conversation.actions)
        let expected = NBDDataChunk(isLast: true, handle: 7, offset: 512, dataByteCount: 512)
        #expect(
            conversation.takeOutput() == encoded(NBDDataChunk.byteCount) { expected.encode(into: $0) } + pattern(512))
    }

    @Test("replies go out in the order of completion")
    func outOfOrder() throws {
        let conversation = Conversation.inTransmission()
        conversation.request(.flush, handle: 1)
        conversation.request(.trim, handle: 2, length: 512)
        let ids = conversation.takeActions().compactMap { action -> NBDRequestID? in
            switch action {
            case .flush(let id), .trim(let id, _, _, _): id
            default: nil
            }
        }
        conversation.session.completed(ids[1], status: 0, into: &conversation.actions)
        conversation.session.completed(ids[0], status: 0, into: &conversation.actions)
        let output = conversation.takeOutput()
        #expect(try decoding(output, NBDSimpleReply.init(decoding:)).handle == 2)
        #expect(try decoding(Array(output.dropFirst(16)), NBDSimpleReply.init(decoding:)).handle == 1)
    }

    @Test(
        "a write reaches the backend whole and aligned, however it is cut", arguments: [1, 7, 28, 4096, 65536, Int.max])
    func write(pieces: Int) {
        let conversation = Conversation.inTransmission()
        let data = pattern(150 << 10)
        let requests = [0, 1].map { index in
            encoded(NBDRequest.byteCount) {
                NBDRequest(
                    command: .write, flags: index == 1 ? .forceUnitAccess : [], handle: UInt64(index),
                    offset: UInt64(index) * 524288, length: UInt32(data.count)
                ).encode(into: $0)
            } + data
        }
        let stream = requests[0] + requests[1]
        #expect(conversation.send(stream, pieces: pieces) == stream.count)
        var seen: [(UInt64, Bool)] = []
        for case .write(_, let offset, let slice, let fua) in conversation.takeActions() {
            #expect(Array(slice.bytes) == data)
            #expect(UInt(bitPattern: slice.base) % 4096 == 0)
            seen.append((offset, fua))
        }
        #expect(seen.map(\.0) == [0, 524288])
        #expect(seen.map(\.1) == [false, true])
    }

    @Test("the rest of a large payload is received in place, the next header alone")
    func directReceive() {
        let conversation = Conversation.inTransmission()
        let header = encoded(NBDRequest.byteCount) {
            NBDRequest(command: .write, handle: 1, offset: 0, length: 128 << 10).encode(into: $0)
        }
        conversation.send(header)
        #expect(conversation.session.receiveWindow().count == 128 << 10)
        conversation.send(pattern(128 << 10))
        #expect(conversation.session.receiveWindow().count == NBDRequest.byteCount)
        conversation.send(Array(header.prefix(20)))
        #expect(conversation.session.receiveWindow().count == 8)
        conversation.send(Array(header.dropFirst(20)) + pattern(128 << 10))
        conversation.request(.flush)
        #expect(conversation.session.receiveWindow().count > 60000)
    }

    @Test("trim and zeroing carry their flags")
    func trimAndZero() {
        let conversation = Conversation.inTransmission()
        conversation.request(.trim, flags: .forceUnitAccess, offset: 512, length: 1024)
        conversation.request(.writeZeroes, offset: 0, length: 512)
        conversation.request(.writeZeroes, flags: .noHole, offset: 0, length: 1 << 20)
        var seen: [String] = []
        for action in conversation.takeActions() {
            switch action {
            case .trim(_, let offset, let count, let fua): seen.append("trim \(offset) \(count) \(fua)")
            case .writeZeroes(_, _, let count, let unmap, let fua): seen.append("zero \(count) \(unmap) \(fua)")
            default: break
            }
        }
        #expect(seen == ["trim 512 1024 true", "zero 512 true false", "zero 1048576 false false"])
    }

    @Test("zeroing that must be fast fails where it is not", arguments: [true, false])
    func fastZero(isFast: Bool) throws {
        let export = NBDExport(name: "r0", sizeBytes: 1 << 20, zeroesAreFast: isFast)
        let conversation = Conversation.inTransmission(export)
        conversation.request(.writeZeroes, flags: .fastZero, length: 512)
        if isFast {
            #expect(conversation.session.requestsInFlight == 1)
        } else {
            #expect(try conversation.takeSimpleReply().error == .notSupported)
        }
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        var command: NBDCommand
        var flags: NBDCommandFlags
        var offset: UInt64
        var length: UInt32
        var error: NBDErrorCode

        init(
            _ command: NBDCommand, _ flags: NBDCommandFlags = [], at offset: UInt64, _ length: UInt32,
            _ error: NBDErrorCode
        ) {
            self.command = command
            self.flags = flags
            self.offset = offset
            self.length = length
            self.error = error
        }

        var testDescription: String { "\(command) flags \(flags.rawValue) at \(offset) of \(length): \(error)" }

        static let all: [Refusal] = [
            Refusal(.read, at: 1 << 20, 512, .invalid),
            Refusal(.read, at: .max, 512, .invalid),
            Refusal(.write, at: (1 << 20) - 512, 1024, .noSpace),
            Refusal(.writeZeroes, at: 1 << 20, 512, .noSpace),
            Refusal(.trim, at: 1 << 20, 512, .invalid),
            Refusal(.read, at: 1, 512, .invalid),
            Refusal(.read, at: 0, 511, .invalid),
            Refusal(.write, at: 256, 512, .invalid),
            Refusal(.read, .dontFragment, at: 0, 512, .invalid),
            Refusal(.write, .noHole, at: 0, 512, .invalid),
            Refusal(.flush, at: 512, 0, .invalid),
            Refusal(.blockStatus, at: 0, 512, .invalid),
        ]
    }

    @Test("requests that cannot be served are refused with the protocol's error", arguments: Refusal.all)
    func refused(_ refusal: Refusal) throws {
        let conversation = Conversation.inTransmission()
        let payload = refusal.command == .write ? pattern(Int(refusal.length)) : []
        conversation.request(
            refusal.command, flags: refusal.flags, handle: 5, offset: refusal.offset, length: refusal.length,
            payload: payload)
        #expect(try conversation.takeSimpleReply() == NBDSimpleReply(error: refusal.error, handle: 5))
        // The stream goes on behind a refused payload.
        conversation.request(.flush)
        #expect(conversation.session.requestsInFlight == 1)
    }

    @Test("a refusal tells why when structured replies are agreed")
    func refusalText() {
        let conversation = Conversation.inTransmission(structured: true)
        conversation.request(.read, handle: 5, offset: 100, length: 512)
        let expected = NBDErrorChunk(
            isLast: true, handle: 5, error: .invalid, text: "offset and length must be multiples of 512")
        #expect(conversation.takeOutput() == encoded(expected.byteCount) { expected.encode(into: $0) })
    }

    @Test("a read-only export refuses what changes it", arguments: [NBDCommand.write, .trim, .writeZeroes])
    func readOnly(command: NBDCommand) throws {
        let export = NBDExport(name: "r0", sizeBytes: 1 << 20, isReadOnly: true)
        let conversation = Conversation.inTransmission(export)
        conversation.request(command, length: 512, payload: command == .write ? pattern(512) : [])
        #expect(try conversation.takeSimpleReply().error == .notPermitted)
        conversation.request(.read, length: 512)
        #expect(conversation.session.requestsInFlight == 1)
    }

    @Test("an unknown command is refused and the stream goes on")
    func unknownCommand() throws {
        let conversation = Conversation.inTransmission()
        var request = NBDRequest(command: .read, handle: 9, offset: 0, length: 512)
        request.rawCommand = 99
        conversation.send(encoded(NBDRequest.byteCount) { request.encode(into: $0) })
        #expect(try conversation.takeSimpleReply() == NBDSimpleReply(error: .invalid, handle: 9))
    }

    @Test(
        "requests of no bytes succeed without the backend",
        arguments: [NBDCommand.read, .write, .trim, .writeZeroes, .cache])
    func empty(command: NBDCommand) throws {
        let conversation = Conversation.inTransmission()
        conversation.request(command, handle: 3)
        #expect(try conversation.takeSimpleReply() == NBDSimpleReply(error: nil, handle: 3))
        #expect(conversation.session.requestsInFlight == 0)
    }

    @Test("a write above 32 MiB ends the connection before its payload")
    func oversizeWrite() {
        let conversation = Conversation.inTransmission()
        conversation.request(.write, length: (32 << 20) + 512)
        #expect(conversation.closeReason == .protocolViolation)
    }

    @Test("a read above the largest block is refused")
    func oversizeRead() throws {
        let export = NBDExport(name: "r0", sizeBytes: 1 << 40, maximumBlock: 1 << 20)
        let conversation = Conversation.inTransmission(export)
        conversation.request(.read, length: (1 << 20) + 512)
        #expect(try conversation.takeSimpleReply().error == .invalid)
    }

    @Test("a bad magic number ends the connection")
    func badMagic() {
        let conversation = Conversation.inTransmission()
        conversation.send([UInt8](repeating: 0x41, count: 28))
        #expect(conversation.closeReason == .protocolViolation)
        #expect(conversation.logTexts.contains { $0.contains("bad magic: found 0x41414141, expected 0x25609513") })
    }

    @Test(
        "an error of the backend reaches the client",
        arguments: [(Int32(5), NBDErrorCode.inputOutput), (28, .noSpace), (95, .invalid), (30, .notPermitted)])
    func backendError(errno: Int32, code: NBDErrorCode) throws {
        let conversation = Conversation.inTransmission()
        conversation.request(.read, handle: 4, length: 512)
        guard case .read(let id, _, _)? = conversation.takeActions().first else {
            Issue.record("no read")
            return
        }
        conversation.session.completed(id, status: errno, into: &conversation.actions)
        let output = conversation.takeOutput()
        #expect(output.count == NBDSimpleReply.byteCount)
        #expect(try decoding(output, NBDSimpleReply.init(decoding:)) == NBDSimpleReply(error: code, handle: 4))
    }

    @Test("block status says allocated without asking a backend that does not know")
    func blockStatusByDefault() {
        let conversation = Conversation.inTransmission(structured: true, blockStatus: true)
        conversation.request(.blockStatus, handle: 6, offset: 0, length: 65536)
        let expected = NBDBlockStatusChunk(
            isLast: true, handle: 6, contextID: 1, extents: [NBDExtent(length: 65536, status: [])])
        #expect(conversation.takeOutput() == encoded(expected.byteCount) { expected.encode(into: $0) })
    }

    @Test("the backend's extents are cut to what was asked for", arguments: [true, false])
    func blockStatusOfBackend(wantsOne: Bool) {
        let export = NBDExport(name: "r0", sizeBytes: 1 << 20, reportsAllocation: true)
        let conversation = Conversation.inTransmission(export, structured: true, blockStatus: true)
        conversation.request(.blockStatus, flags: wantsOne ? .requestOne : [], handle: 6, offset: 0, length: 65536)
        guard case .blockStatus(let id, offset: 0, count: 65536)? = conversation.takeActions().first else {
            Issue.record("no block status")
            return
        }
        let extents = [
            NBDExtent(length: 4096, status: []), NBDExtent(length: 0, status: []),
            NBDExtent(length: 1 << 20, status: [.hole, .zero]),
        ]
        conversation.session.completed(id, extents: extents, into: &conversation.actions)
        let all = [NBDExtent(length: 4096, status: []), NBDExtent(length: 61440, status: [.hole, .zero])]
        let expected = NBDBlockStatusChunk(
            isLast: true, handle: 6, contextID: 1, extents: Array(all.prefix(wantsOne ? 1 : 2)))
        #expect(conversation.takeOutput() == encoded(expected.byteCount) { expected.encode(into: $0) })
    }
}

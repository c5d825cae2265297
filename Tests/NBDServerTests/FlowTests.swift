import EngineKit
import NBDLayout
import NBDServer
import Testing

@Suite struct FlowTests {
    private func ids(_ actions: [NBDAction]) -> [NBDRequestID] {
        actions.compactMap { action in
            switch action {
            case .read(let id, _, _), .write(let id, _, _, _), .flush(let id), .trim(let id, _, _, _),
                .writeZeroes(let id, _, _, _, _), .blockStatus(let id, _, _):
                id
            case .opened, .resumeReading, .close, .log:
                nil
            }
        }
    }

    private func resumes(_ actions: [NBDAction]) -> Bool {
        actions.contains { if case .resumeReading = $0 { true } else { false } }
    }

    @Test("reading stops at the limit of requests and goes on with a completion")
    func requestLimit() {
        var limits = NBDSessionLimits()
        limits.requestsInFlightMax = 4
        let conversation = Conversation.inTransmission(limits: limits)
        for handle in 0..<6 { conversation.request(.flush, handle: UInt64(handle)) }
        let session = conversation.session
        #expect(session.requestsInFlight == 4)
        #expect(session.receiveWindow().isEmpty)
        let first = ids(conversation.takeActions())
        session.completed(first[0], status: 0, into: &conversation.actions)
        // The fifth was received already; now the window is open or the sixth waits there.
        #expect(session.requestsInFlight == 4)
        #expect(ids(conversation.actions).count == 1)
        for id in first.dropFirst() { session.completed(id, status: 0, into: &conversation.actions) }
        #expect(resumes(conversation.takeActions()))
        #expect(!session.receiveWindow().isEmpty)
    }

    @Test("resumeReading comes only after an empty window was given")
    func noNeedlessResume() {
        var limits = NBDSessionLimits()
        limits.requestsInFlightMax = 1
        let conversation = Conversation.inTransmission(limits: limits)
        conversation.request(.flush)
        let id = ids(conversation.takeActions())[0]
        conversation.session.completed(id, status: 0, into: &conversation.actions)
        #expect(!resumes(conversation.takeActions()))
    }

    @Test("reading stops at the limit of bytes, counting replies that the client does not take")
    func byteLimit() {
        var limits = NBDSessionLimits()
        limits.bytesInFlightMax = 8192
        let conversation = Conversation.inTransmission(limits: limits)
        for handle in 0..<4 { conversation.request(.read, handle: UInt64(handle), length: 4096) }
        let session = conversation.session
        #expect(session.requestsInFlight == 2)
        for id in ids(conversation.takeActions()) { session.completed(id, status: 0, into: &conversation.actions) }
        // Completed, but not sent: still no room.
        #expect(session.requestsInFlight == 0 && session.receiveWindow().isEmpty)
        _ = conversation.takeOutput()
        #expect(session.requestsInFlight >= 1)
        #expect(resumes(conversation.actions) == !session.receiveWindow().isEmpty)
    }

    @Test("a request larger than the limit of bytes is let through alone")
    func largeRequestAlone() {
        var limits = NBDSessionLimits()
        limits.bytesInFlightMax = 4096
        let conversation = Conversation.inTransmission(limits: limits)
        conversation.request(.read, length: 65536)
        conversation.request(.read, length: 65536)
        #expect(conversation.session.requestsInFlight == 1)
    }

    @Test("DISC waits for what runs, its replies are sent, then the connection ends")
    func disconnect() throws {
        let conversation = Conversation.inTransmission()
        conversation.request(.flush, handle: 11)
        let id = ids(conversation.takeActions())[0]
        conversation.request(.disconnect)
        conversation.request(.flush, handle: 12)
        #expect(conversation.closeReason == nil && conversation.session.requestsInFlight == 1)
        conversation.session.completed(id, status: 0, into: &conversation.actions)
        #expect(conversation.closeReason == nil)
        #expect(try conversation.takeSimpleReply().handle == 11)
        #expect(conversation.closeReason == .clientDisconnected)
    }

    @Test("DISC without requests ends the connection at once")
    func idleDisconnect() {
        let conversation = Conversation.inTransmission()
        conversation.request(.disconnect)
        #expect(conversation.closeReason == .clientDisconnected && conversation.session.isClosed)
    }

    @Test("completions after a lost connection are taken without a word")
    func lostConnection() {
        let conversation = Conversation.inTransmission()
        conversation.request(.write, length: 4096, payload: pattern(4096))
        let id = ids(conversation.takeActions())[0]
        conversation.session.connectionLost(into: &conversation.actions)
        #expect(conversation.closeReason == .connectionLost)
        _ = conversation.takeActions()
        conversation.session.completed(id, status: 0, into: &conversation.actions)
        #expect(conversation.actions.isEmpty && conversation.session.requestsInFlight == 0)
        #expect(conversation.session.output.isEmpty)
    }

    @Test("half a payload at the end of a connection never reaches the backend")
    func halfPayload() {
        let conversation = Conversation.inTransmission()
        conversation.request(.write, length: 8192, payload: pattern(4096))
        conversation.session.connectionLost(into: &conversation.actions)
        #expect(ids(conversation.takeActions()).isEmpty)
    }

    @Test("a shutdown answers what runs and takes nothing new")
    func shutdown() throws {
        let conversation = Conversation.inTransmission()
        conversation.request(.flush, handle: 11)
        let id = ids(conversation.takeActions())[0]
        conversation.session.shutDown(into: &conversation.actions)
        conversation.request(.flush, handle: 12)
        #expect(conversation.session.requestsInFlight == 1)
        conversation.session.completed(id, status: 0, into: &conversation.actions)
        _ = conversation.takeOutput()
        #expect(conversation.closeReason == .shutdown)
    }

    @Test("a session can begin with transmission, for a client that knows the export")
    func startInTransmission() throws {
        let conversation = Conversation()
        conversation.session.startTransmission(of: Conversation.exampleExport, into: &conversation.actions)
        #expect(conversation.session.output.isEmpty)
        conversation.request(.read, handle: 2, offset: 512, length: 512)
        #expect(conversation.session.requestsInFlight == 1)
    }

    @Test("arbitrary bytes never trap the session")
    func arbitraryBytes() {
        let random = SeededRandom(seed: 7)
        let go = Array("IHAVEOPT".utf8) + [0, 0, 0, 7, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0]
        for _ in 0..<500 {
            var input: [UInt8] = [UInt8(truncatingIfNeeded: random.next()), 0, 0, 0, 3]
            if input[0] & 1 != 0 { input.removeLast(4) } else { input += go }
            for _ in 0..<random.next(below: 12) {
                var request = NBDRequest(
                    command: .read, flags: NBDCommandFlags(rawValue: UInt16(random.next(below: 4))),
                    handle: random.next(), offset: random.next(below: 4) * 300_000, length: 0)
                request.rawCommand = UInt16(random.next(below: 9))
                request.length = UInt32(random.next(below: 40) * 512)
                input += encoded(NBDRequest.byteCount) { request.encode(into: $0) }
                if request.rawCommand == 1 { input += [UInt8](repeating: 1, count: Int(request.length)) }
            }
            for _ in 0..<random.next(below: 8) {
                input[Int(random.next(below: UInt64(input.count)))] = UInt8(truncatingIfNeeded: random.next())
            }
            input.withUnsafeBytes { NBDFuzzEntry.run($0) }
        }
    }
}

import EngineKit
import NBDLayout
import NBDServer
import Testing

@Suite struct HandshakeTests {
    @Test("a fresh session greets at once")
    func greeting() throws {
        let conversation = Conversation()
        conversation.session.start(now: .zero)
        let greeting = try decoding(conversation.takeOutput(), NBDGreeting.init(decoding:))
        #expect(greeting.flags == [.fixedNewstyle, .noZeroes])
    }

    @Test("unknown client flags end the connection")
    func unknownClientFlags() {
        let conversation = Conversation()
        conversation.session.start(now: .zero)
        conversation.send([0, 0, 0, 8])
        #expect(conversation.closeReason == .protocolViolation)
        #expect(conversation.logTexts.contains { $0.contains("unknown client flags 0x8") })
    }

    @Test("the handshake works byte by byte")
    func byteByByte() throws {
        let conversation = Conversation()
        conversation.session.start(now: .zero)
        _ = conversation.takeOutput()
        let go = NBDInfoRequest(exportName: "r0", information: [])
        let header = NBDOptionHeader(option: NBDOptionCode.go.rawValue, dataByteCount: go.byteCount)
        conversation.send(
            [0, 0, 0, 3] + encoded(16) { header.encode(into: $0) } + encoded(go.byteCount) { go.encode(into: $0) },
            pieces: 1)
        #expect(try conversation.takeOptionReplies().last?.header.type == .acknowledge)
    }

    @Test("GO tells size, flags, block sizes and what was asked for, then enters transmission")
    func go() throws {
        let conversation = Conversation()
        conversation.greet()
        conversation.option(.structuredReply)
        let request = NBDInfoRequest(exportName: "r0", information: [.name, .description, .blockSize])
        conversation.option(.go, encoded(request.byteCount) { request.encode(into: $0) })
        let replies = try conversation.takeOptionReplies()
        #expect(replies.map(\.header.type) == [.acknowledge, .info, .info, .info, .info, .acknowledge])
        let information = try replies.filter { $0.header.type == .info }.map {
            try decoding($0.data, NBDInformation.init(decoding:))
        }
        let flags: NBDTransmissionFlags = [
            .hasFlags, .sendFlush, .sendFUA, .sendTrim, .sendWriteZeroes, .sendFastZero, .sendDontFragment,
            .canMultiConn,
        ]
        #expect(
            information == [
                .export(sizeBytes: 1 << 20, flags: flags),
                .blockSize(minimum: 512, preferred: 4096, maximum: 32 << 20), .name("r0"), .description("a volume"),
            ])
        conversation.request(.flush)
        #expect(conversation.takeActions().contains { if case .flush = $0 { true } else { false } })
    }

    @Test("the owner is told when an export comes into use")
    func opened() {
        let conversation = Conversation()
        conversation.greet()
        conversation.option(.go, [0, 0, 0, 0, 0, 0])
        #expect(conversation.actions.contains { if case .opened("r0") = $0 { true } else { false } })
    }

    @Test("INFO tells the same as GO but stays in the handshake")
    func info() throws {
        let conversation = Conversation()
        conversation.greet()
        conversation.option(.info, [0, 0, 0, 0, 0, 0])
        let info = try conversation.takeOptionReplies()
        conversation.option(.go, [0, 0, 0, 0, 0, 0])
        let go = try conversation.takeOptionReplies()
        #expect(info.map(\.data) == go.map(\.data))
        #expect(info.last?.header.type == .acknowledge)
    }

    @Test("an unknown export is answered with ERR_UNKNOWN and the client may try another")
    func unknownExport() throws {
        let conversation = Conversation()
        conversation.greet()
        conversation.option(.go, [0, 0, 0, 2, 0x72, 0x39, 0, 0])
        #expect(try conversation.takeOptionReplies().map(\.header.type) == [.errorUnknown])
        conversation.option(.go, [0, 0, 0, 2, 0x72, 0x30, 0, 0])
        #expect(try conversation.takeOptionReplies().last?.header.type == .acknowledge)
    }

    @Test("an export that may not be used is refused with its reason")
    func refusedExport() throws {
        let conversation = Conversation()
        let reason = "r0 is Secondary on this host: promote it with: yoke drbdadm primary r0"
        conversation.directory.refusals["r0"] = reason
        conversation.greet()
        conversation.option(.go, [0, 0, 0, 2, 0x72, 0x30, 0, 0])
        let replies = try conversation.takeOptionReplies()
        #expect(replies.map(\.header.type) == [.errorPolicy])
        #expect(String(decoding: replies[0].data, as: UTF8.self) == reason)
        #expect(conversation.logTexts.contains { $0.contains(reason) })
    }

    @Test("EXPORT_NAME enters transmission with size and flags", arguments: [true, false])
    func exportName(waivesZeroes: Bool) throws {
        let conversation = Conversation()
        conversation.greet(flags: waivesZeroes ? [.fixedNewstyle, .noZeroes] : [])
        conversation.option(.exportName, Array("r0".utf8))
        let output = conversation.takeOutput()
        #expect(output.count == (waivesZeroes ? 10 : 134))
        #expect(try decoding(output, NBDExportNameReply.init(decoding:)).sizeBytes == 1 << 20)
        conversation.request(.read, length: 512)
        #expect(conversation.session.requestsInFlight == 1)
    }

    @Test("EXPORT_NAME of a missing or refused export ends the connection", arguments: ["r9", "r1"])
    func exportNameRefused(name: String) {
        let conversation = Conversation()
        conversation.directory.refusals["r1"] = "r1 is Secondary on this host"
        conversation.greet()
        conversation.option(.exportName, Array(name.utf8))
        #expect(conversation.closeReason == .exportRefused)
    }

    @Test("LIST shows all exports in the directory's order")
    func list() throws {
        let exports = ["zeta", "alpha"].map { NBDExport(name: $0, description: "of \($0)", sizeBytes: 4096) }
        let conversation = Conversation(exports)
        conversation.greet()
        conversation.option(.list)
        let replies = try conversation.takeOptionReplies()
        #expect(replies.map(\.header.type) == [.server, .server, .acknowledge])
        let entries = try replies.dropLast().map { try decoding($0.data, NBDServerEntry.init(decoding:)) }
        #expect(entries.map(\.name) == ["zeta", "alpha"])
        #expect(entries.map(\.description) == ["of zeta", "of alpha"])
    }

    @Test(
        "options that carry no data are refused with data",
        arguments: [NBDOptionCode.list, .structuredReply, .startTLS])
    func unexpectedData(option: NBDOptionCode) throws {
        let conversation = Conversation()
        conversation.greet()
        conversation.option(option, [1])
        #expect(try conversation.takeOptionReplies().map(\.header.type) == [.errorInvalid])
    }

    @Test("TLS is refused by policy and the handshake goes on")
    func startTLS() throws {
        let conversation = Conversation()
        conversation.greet()
        conversation.option(.startTLS)
        conversation.option(.list)
        #expect(try conversation.takeOptionReplies().map(\.header.type) == [.errorPolicy, .server, .acknowledge])
    }

    @Test("an unknown option is skipped with its data")
    func unknownOption() throws {
        let conversation = Conversation()
        conversation.greet()
        conversation.option(77, [UInt8](repeating: 9, count: 60000))
        conversation.option(.list)
        #expect(try conversation.takeOptionReplies().map(\.header.type) == [.errorUnsupported, .server, .acknowledge])
    }

    @Test("option data of the largest size fit, longer ones end the connection")
    func longOption() throws {
        let conversation = Conversation()
        conversation.greet()
        conversation.option(77, [UInt8](repeating: 9, count: NBDOptionHeader.dataByteCountMax))
        #expect(try conversation.takeOptionReplies().map(\.header.type) == [.errorUnsupported])
        let header = NBDOptionHeader(option: 77, dataByteCount: NBDOptionHeader.dataByteCountMax + 1)
        conversation.send(encoded(NBDOptionHeader.byteCount) { header.encode(into: $0) })
        #expect(conversation.closeReason == .protocolViolation)
    }

    @Test("ABORT is acknowledged, then the connection ends")
    func abort() throws {
        let conversation = Conversation()
        conversation.greet()
        conversation.option(.abort)
        #expect(conversation.closeReason == nil)
        #expect(try conversation.takeOptionReplies().map(\.header.type) == [.acknowledge])
        #expect(conversation.closeReason == .clientAborted)
    }

    @Test("base:allocation can be listed and chosen once structured replies are agreed")
    func metaContexts() throws {
        let conversation = Conversation()
        conversation.greet()
        let request = NBDMetaContextRequest(exportName: "r0", queries: ["x-other:foo", "base:allocation"])
        let data = encoded(request.byteCount) { request.encode(into: $0) }
        conversation.option(.setMetaContext, data)
        #expect(try conversation.takeOptionReplies().map(\.header.type) == [.errorInvalid])
        conversation.option(.structuredReply)
        conversation.option(.setMetaContext, data)
        #expect(try conversation.takeOptionReplies().map(\.header.type) == [.acknowledge, .metaContext, .acknowledge])
        let list = NBDMetaContextRequest(exportName: "r0", queries: [])
        conversation.option(.listMetaContext, encoded(list.byteCount) { list.encode(into: $0) })
        let replies = try conversation.takeOptionReplies()
        #expect(try decoding(replies[0].data, NBDMetaContextEntry.init(decoding:)).name == "base:allocation")
    }

    @Test("a context chosen for another export does not count")
    func metaContextOfOtherExport() throws {
        let exports = ["r0", "r1"].map { NBDExport(name: $0, sizeBytes: 4096) }
        let conversation = Conversation(exports)
        conversation.greet()
        conversation.option(.structuredReply)
        let request = NBDMetaContextRequest(exportName: "r1", queries: ["base:allocation"])
        conversation.option(.setMetaContext, encoded(request.byteCount) { request.encode(into: $0) })
        conversation.option(.go, [0, 0, 0, 2, 0x72, 0x30, 0, 0])
        _ = conversation.takeOutput()
        conversation.request(.blockStatus, length: 4096)
        let chunk = try decoding(conversation.takeOutput(), NBDChunkHeader.init(decoding:))
        #expect(chunk.type == .error)
    }

    @Test("a client that never chooses is dropped after the timeout")
    func timeout() {
        let conversation = Conversation()
        conversation.greet()
        let deadline = conversation.session.deadline
        #expect(deadline == .zero + .seconds(60))
        conversation.session.tick(now: .zero + .seconds(59), into: &conversation.actions)
        #expect(conversation.closeReason == nil)
        conversation.session.tick(now: .zero + .seconds(60), into: &conversation.actions)
        #expect(conversation.closeReason == .handshakeTimeout)
    }

    @Test("a client in transmission has no deadline")
    func noDeadline() {
        #expect(Conversation.inTransmission().session.deadline == nil)
    }

    @Test("endless options end the connection")
    func endlessOptions() {
        let conversation = Conversation()
        conversation.greet()
        for _ in 0..<513 {
            conversation.option(.list)
            _ = conversation.takeOutput()
        }
        #expect(conversation.closeReason == .protocolViolation)
    }

    @Test("options are not read while their replies pile up unread")
    func optionBackPressure() {
        var limits = NBDSessionLimits()
        limits.handshakeOutputMax = 100
        let conversation = Conversation(limits: limits)
        conversation.greet()
        for _ in 0..<10 { conversation.option(.list) }
        #expect(conversation.session.receiveWindow().isEmpty)
        #expect(conversation.session.output.byteCount < 300)
        _ = conversation.takeOutput()
        #expect(conversation.actions.contains { if case .resumeReading = $0 { true } else { false } })
    }

    @Test("a client that speaks something else is dropped with a log line")
    func portScan() {
        let conversation = Conversation()
        conversation.session.start(now: .zero)
        conversation.send(Array("GET / HTTP/1.1\r\nHost: example\r\n\r\n".utf8))
        #expect(conversation.closeReason == .protocolViolation)
        #expect(conversation.session.receiveWindow().isEmpty)
    }
}

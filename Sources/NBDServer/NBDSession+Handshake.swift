internal import EngineKit
internal import NBDLayout

// The handshake: client flags, then options until the client chooses an export.
// Each `take...` returns whether it consumed something. Spec: NBD protocol, "Handshake".

extension NBDSession {
    func takeClientFlags(into actions: inout [NBDAction]) -> Bool {
        guard staging.count >= NBDClientFlags.byteCount else { return false }
        let flags: NBDClientFlags
        do {
            flags = try NBDClientFlags(decoding: staging.bytes)
        } catch {
            preconditionFailure("four bytes were there: \(error)")
        }
        staging.drop(NBDClientFlags.byteCount)
        guard NBDClientFlags.known.isSuperset(of: flags) else {
            violation("unknown client flags 0x\(String(flags.rawValue, radix: 16))", into: &actions)
            return false
        }
        clientFlags = flags
        phase = .haggling
        return true
    }

    func takeOption(into actions: inout [NBDAction]) -> Bool {
        guard staging.count >= NBDOptionHeader.byteCount else { return false }
        guard output.byteCount <= limits.handshakeOutputMax else {
            isBlocked = true
            return false
        }
        let header: NBDOptionHeader
        do {
            header = try NBDOptionHeader(decoding: staging.bytes)
        } catch {
            violation("bad option: \(error)", into: &actions)
            return false
        }
        let total = NBDOptionHeader.byteCount + header.dataByteCount
        guard staging.count >= total else { return false }
        optionCount += 1
        guard optionCount <= limits.optionCountMax else {
            violation("more than \(limits.optionCountMax) options", into: &actions)
            return false
        }
        let data = UnsafeRawBufferPointer(rebasing: staging.bytes[NBDOptionHeader.byteCount..<total])
        answer(header, data, into: &actions)
        // Closing or draining has dropped the bytes already.
        if phase == .haggling || phase == .transmission { staging.drop(total) }
        return true
    }

    private func answer(_ header: NBDOptionHeader, _ data: UnsafeRawBufferPointer, into actions: inout [NBDAction]) {
        let option = NBDOptionCode(rawValue: header.rawOption)
        // A client without fixed newstyle understands no reply to an option.
        guard clientFlags.contains(.fixedNewstyle) || option == .exportName else {
            violation("option \(header.rawOption) without fixed newstyle", into: &actions)
            return
        }
        guard let option else {
            reply(header.rawOption, .errorUnsupported, text: "option \(header.rawOption) is not known here")
            return
        }
        switch option {
        case .exportName:
            chooseExportByName(data, into: &actions)
        case .abort:
            reply(option, .acknowledge)
            drain(.clientAborted, into: &actions)
        case .list:
            guard requireNoData(option, data) else { return }
            listExports()
        case .startTLS:
            guard requireNoData(option, data) else { return }
            reply(option, .errorPolicy, text: "this server speaks no TLS; use its Unix socket or a protected network")
        case .info, .go:
            describeExport(option, data, into: &actions)
        case .structuredReply:
            guard requireNoData(option, data) else { return }
            usesStructuredReplies = true
            reply(option, .acknowledge)
        case .listMetaContext:
            listMetaContexts(data)
        case .setMetaContext:
            setMetaContexts(data)
        }
    }

    private func requireNoData(_ option: NBDOptionCode, _ data: UnsafeRawBufferPointer) -> Bool {
        guard data.count > 0 else { return true }
        reply(option, .errorInvalid, text: "this option carries no data")
        return false
    }

    // MARK: Choosing an export

    /// `NBD_OPT_EXPORT_NAME`: no error reply exists, the refused client is dropped.
    private func chooseExportByName(_ data: UnsafeRawBufferPointer, into actions: inout [NBDAction]) {
        let name: String
        do {
            name = try NBDExportNameRequest(decoding: data).exportName
        } catch {
            violation("bad export name: \(error)", into: &actions)
            return
        }
        switch directory.nbdExport(named: name) {
        case .export(let export):
            let wantsZeroes = !clientFlags.contains(.noZeroes)
            append(wantsZeroes ? NBDExportNameReply.byteCount : NBDExportNameReply.byteCountWithoutZeroes) {
                NBDExportNameReply(
                    sizeBytes: export.sizeBytes,
                    flags: export.transmissionFlags(structuredReplies: usesStructuredReplies)
                ).encode(into: $0)
            }
            begin(export, askedFor: name, into: &actions)
        case .unknown:
            log(.notice, "export \"\(name)\" does not exist, connection dropped", into: &actions)
            close(.exportRefused, into: &actions)
        case .refused(let reason):
            log(.notice, "export \"\(name)\" refused: \(reason)", into: &actions)
            close(.exportRefused, into: &actions)
        }
    }

    /// `NBD_OPT_INFO` and `NBD_OPT_GO`.
    private func describeExport(
        _ option: NBDOptionCode, _ data: UnsafeRawBufferPointer, into actions: inout [NBDAction]
    ) {
        let request: NBDInfoRequest
        do {
            request = try NBDInfoRequest(decoding: data)
        } catch {
            reply(option, .errorInvalid, text: "\(error)")
            return
        }
        switch directory.nbdExport(named: request.exportName) {
        case .export(let export):
            sendInformation(option, request, export)
            reply(option, .acknowledge)
            if option == .go { begin(export, askedFor: request.exportName, into: &actions) }
        case .unknown:
            reply(option, .errorUnknown, text: "export \"\(request.exportName)\" does not exist")
        case .refused(let reason):
            log(.notice, "export \"\(request.exportName)\" refused: \(reason)", into: &actions)
            reply(option, .errorPolicy, text: reason)
        }
    }

    private func sendInformation(_ option: NBDOptionCode, _ request: NBDInfoRequest, _ export: NBDExport) {
        send(
            option,
            .export(
                sizeBytes: export.sizeBytes, flags: export.transmissionFlags(structuredReplies: usesStructuredReplies)))
        // Unasked as well: whoever understands it can keep to it, and unaligned requests are refused in any case.
        send(
            option,
            .blockSize(
                minimum: UInt32(export.minimumBlock), preferred: UInt32(export.preferredBlock),
                maximum: UInt32(export.maximumBlock)))
        if request.information.contains(.name) { send(option, .name(export.name)) }
        if request.information.contains(.description), !export.description.isEmpty {
            send(option, .description(export.description))
        }
    }

    private func begin(_ export: NBDExport, askedFor name: String, into actions: inout [NBDAction]) {
        reportsBlockStatus = usesStructuredReplies && metaContextExportName == name
        enterTransmission(export, into: &actions)
    }

    private func listExports() {
        for export in directory.nbdExports {
            let entry = NBDServerEntry(name: export.name, description: export.description)
            reply(NBDOptionCode.list.rawValue, .server, count: entry.byteCount) { entry.encode(into: $0) }
        }
        reply(.list, .acknowledge)
    }

    // MARK: Metadata contexts: base:allocation is the only one

    private static let allocationContext = "base:allocation"

    private func listMetaContexts(_ data: UnsafeRawBufferPointer) {
        guard let request = metaContextRequest(.listMetaContext, data) else { return }
        let matches =
            request.queries.isEmpty || request.queries.contains { $0 == "base:" || $0 == Self.allocationContext }
        if matches { send(.listMetaContext, NBDMetaContextEntry(id: 0, name: Self.allocationContext)) }
        reply(.listMetaContext, .acknowledge)
    }

    private func setMetaContexts(_ data: UnsafeRawBufferPointer) {
        // Replaces what was chosen before, also when it fails.
        metaContextExportName = nil
        guard usesStructuredReplies else {
            reply(.setMetaContext, .errorInvalid, text: "structured replies come first")
            return
        }
        guard let request = metaContextRequest(.setMetaContext, data) else { return }
        if request.queries.contains(Self.allocationContext) {
            metaContextExportName = request.exportName
            send(.setMetaContext, NBDMetaContextEntry(id: Self.metaContextID, name: Self.allocationContext))
        }
        reply(.setMetaContext, .acknowledge)
    }

    /// The decoded request, or nil after an error reply.
    private func metaContextRequest(_ option: NBDOptionCode, _ data: UnsafeRawBufferPointer) -> NBDMetaContextRequest? {
        let request: NBDMetaContextRequest
        do {
            request = try NBDMetaContextRequest(decoding: data)
        } catch {
            reply(option, .errorInvalid, text: "\(error)")
            return nil
        }
        switch directory.nbdExport(named: request.exportName) {
        case .export:
            return request
        case .unknown:
            reply(option, .errorUnknown, text: "export \"\(request.exportName)\" does not exist")
        case .refused(let reason):
            reply(option, .errorPolicy, text: reason)
        }
        return nil
    }

    // MARK: Replies

    private func send(_ option: NBDOptionCode, _ information: NBDInformation) {
        reply(option.rawValue, .info, count: information.byteCount) { information.encode(into: $0) }
    }

    private func send(_ option: NBDOptionCode, _ entry: NBDMetaContextEntry) {
        reply(option.rawValue, .metaContext, count: entry.byteCount) { entry.encode(into: $0) }
    }

    private func reply(_ option: NBDOptionCode, _ type: NBDOptionReplyType, text: String = "") {
        reply(option.rawValue, type, text: text)
    }

    private func reply(_ rawOption: UInt32, _ type: NBDOptionReplyType, text: String) {
        let text = NBDErrorText(text)
        reply(rawOption, type, count: text.byteCount) { text.encode(into: $0) }
    }

    private func reply(
        _ rawOption: UInt32, _ type: NBDOptionReplyType, count: Int, _ encode: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        append(NBDOptionReplyHeader.byteCount) {
            NBDOptionReplyHeader(option: rawOption, type: type, dataByteCount: count).encode(into: $0)
        }
        append(count, encode)
    }
}

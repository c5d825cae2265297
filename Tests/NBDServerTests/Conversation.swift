import EngineKit
import LayoutKit
import NBDLayout
import NBDServer
import Testing

/// The exports of a test.
final class TestDirectory: NBDExportDirectory {
    var nbdExports: [NBDExport]
    var refusals: [String: String] = [:]

    init(_ exports: [NBDExport]) {
        nbdExports = exports
    }

    func nbdExport(named name: String) -> NBDExportAnswer {
        if let text = refusals[name] { return .refused(text) }
        if name.isEmpty, let first = nbdExports.first { return .export(first) }
        if let export = nbdExports.first(where: { $0.name == name }) { return .export(export) }
        return .unknown
    }
}

/// A session with a client on one side and a backend of the test's on the other, both in memory.
final class Conversation {
    let directory: TestDirectory
    let session: NBDSession
    let pool = IOBufferPool()
    var actions: [NBDAction] = []

    static let exampleExport = NBDExport(name: "r0", description: "a volume", sizeBytes: 1 << 20)

    init(_ exports: [NBDExport] = [exampleExport], limits: NBDSessionLimits = NBDSessionLimits()) {
        directory = TestDirectory(exports)
        session = NBDSession(peer: "test", directory: directory, pool: pool, limits: limits)
    }

    /// A session that is in transmission, with nothing in its output.
    static func inTransmission(
        _ export: NBDExport = exampleExport, structured: Bool = false, blockStatus: Bool = false,
        limits: NBDSessionLimits = NBDSessionLimits()
    ) -> Conversation {
        let conversation = Conversation([export], limits: limits)
        conversation.greet()
        if structured { conversation.option(.structuredReply) }
        if blockStatus {
            let request = NBDMetaContextRequest(exportName: export.name, queries: ["base:allocation"])
            conversation.option(.setMetaContext, encoded(request.byteCount) { request.encode(into: $0) })
        }
        let go = NBDInfoRequest(exportName: export.name, information: [.blockSize])
        conversation.option(.go, encoded(go.byteCount) { go.encode(into: $0) })
        _ = conversation.takeOutput()
        conversation.actions.removeAll()
        return conversation
    }

    func greet(flags: NBDClientFlags = [.fixedNewstyle, .noZeroes]) {
        session.start(now: .zero)
        _ = takeOutput()
        send(encoded(NBDClientFlags.byteCount) { flags.encode(into: $0) })
    }

    func option(_ code: NBDOptionCode, _ data: [UInt8] = []) {
        option(code.rawValue, data)
    }

    func option(_ code: UInt32, _ data: [UInt8] = []) {
        let header = NBDOptionHeader(option: code, dataByteCount: data.count)
        send(encoded(NBDOptionHeader.byteCount) { header.encode(into: $0) } + data)
    }

    func request(
        _ command: NBDCommand, flags: NBDCommandFlags = [], handle: UInt64 = 1, offset: UInt64 = 0, length: UInt32 = 0,
        payload: [UInt8] = []
    ) {
        let request = NBDRequest(command: command, flags: flags, handle: handle, offset: offset, length: length)
        send(encoded(NBDRequest.byteCount) { request.encode(into: $0) } + payload)
    }

    /// Sends through as many windows as it takes; returns how many bytes found one.
    @discardableResult
    func send(_ bytes: [UInt8], pieces: Int = .max) -> Int {
        var position = 0
        while position < bytes.count {
            let window = session.receiveWindow()
            guard window.count > 0 else { break }
            let count = min(window.count, bytes.count - position, pieces)
            bytes.withUnsafeBytes {
                window.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + count]))
            }
            position += count
            session.received(count, now: .zero, into: &actions)
        }
        return position
    }

    /// All that waits for the client; the session is told that it was sent.
    func takeOutput() -> [UInt8] {
        let bytes = session.output.withSegments(limit: .max) { pieces in pieces.flatMap { Array($0) } }
        session.sent(bytes.count, into: &actions)
        return bytes
    }

    func takeActions() -> [NBDAction] {
        defer { actions.removeAll() }
        return actions
    }

    /// The replies to options that wait in the output.
    func takeOptionReplies() throws -> [(header: NBDOptionReplyHeader, data: [UInt8])] {
        var rest = takeOutput()[...]
        var replies: [(NBDOptionReplyHeader, [UInt8])] = []
        while !rest.isEmpty {
            let header = try decoding(Array(rest), NBDOptionReplyHeader.init(decoding:))
            rest = rest.dropFirst(NBDOptionReplyHeader.byteCount)
            replies.append((header, Array(rest.prefix(header.dataByteCount))))
            rest = rest.dropFirst(header.dataByteCount)
        }
        return replies
    }

    func takeSimpleReply() throws -> NBDSimpleReply {
        try decoding(takeOutput(), NBDSimpleReply.init(decoding:))
    }

    /// The close reason among the actions so far, if any.
    var closeReason: NBDCloseReason? {
        for case .close(let reason) in actions { return reason }
        return nil
    }

    var logTexts: [String] {
        actions.compactMap { if case .log(let record) = $0 { record.text } else { nil } }
    }
}

func encoded(_ count: Int, _ encode: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: count)
    result.withUnsafeMutableBytes { encode($0) }
    return result
}

/// Bytes that differ from sector to sector.
func pattern(_ count: Int, seed: UInt8 = 1) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ ($0 >> 9) &+ Int(seed)) }
}

func decoding<Value>(
    _ input: [UInt8], _ decode: (UnsafeRawBufferPointer) throws(LayoutError) -> Value
) throws(LayoutError) -> Value {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: input.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: input)
    return try decode(UnsafeRawBufferPointer(copy))
}

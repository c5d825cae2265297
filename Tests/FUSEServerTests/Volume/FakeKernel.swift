import EngineKit
import EngineSimulation
import FUSELayout
import FUSEServer
import LayoutKit

/// A kernel of the test's in front of a server with a ``MemoryTree`` behind it; everything in virtual time.
final class FakeKernel: FileSystemServerHost {
    struct Answer {
        var unique: UInt64
        var errno: Int32
        var data: [UInt8]
    }

    let environment = VirtualEnvironment()
    let tree = MemoryTree()
    private(set) var notifications: [FUSENotification] = []
    private(set) var records: [LogRecord] = []
    private(set) var mayReadAgainCount = 0
    private(set) var isServed = false
    private var lastUnique: UInt64 = 0
    private var made: FileSystemServer<MemoryTree>?

    init(options: FileSystemServerOptions = FileSystemServerOptions(), isInitialized: Bool = true) {
        made = FileSystemServer(
            operations: tree, root: tree.root.retain(), options: options, pool: IOBufferPool(), host: self)
        if isInitialized { initialize() }
    }

    var server: FileSystemServer<MemoryTree> {
        guard let made else { fatalError("the server is made at once") }
        return made
    }

    @discardableResult
    func initialize(flags: UInt64 = 0x5fd_73ff_fffb, minor: UInt32 = 45) -> Answer? {
        let request = FUSEInitRequest(
            major: 7, minor: minor, readaheadMax: 131072, flags: FUSEInitFlags(rawValue: flags))
        send(.initialize, node: 0, Self.bytes(FUSEInitRequest.byteCount) { request.encode(into: $0) })
        return answers().first
    }

    static func bytes(_ count: Int, _ encode: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        result.withUnsafeMutableBytes { encode($0) }
        return result
    }

    static func bytes(_ value: some FixedLayout) -> [UInt8] {
        bytes(type(of: value).byteCount) { value.encode(into: $0) }
    }

    static func name(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

    /// Hands a request over; nil when the server does not want to read now.
    @discardableResult
    func send(_ opcode: FUSEOpcode, node: UInt64 = 1, _ data: [UInt8] = [], user: UInt32 = 0) -> UInt64? {
        let window = server.receiveWindow()
        guard !window.isEmpty else { return nil }
        lastUnique += 2
        let header = FUSERequestHeader(
            length: FUSERequestHeader.byteCount + data.count, opcode: opcode, unique: lastUnique, node: node,
            user: user)
        let bytes = Self.bytes(header) + data
        window.copyBytes(from: bytes)
        server.received(bytes.count)
        return lastUnique
    }

    /// Bytes as they are.
    func sendRaw(_ bytes: [UInt8]) {
        server.receiveWindow().copyBytes(from: bytes)
        server.received(bytes.count)
    }

    /// Lets everything run that can, and takes what was answered.
    func answers(isTaken: Bool = true) -> [Answer] {
        environment.runReadyJobs()
        var result: [Answer] = []
        while !server.replies.isEmpty {
            let bytes = server.replies.withFirst { Array($0) + Array($1) }
            server.replyWritten(isTaken: isTaken)
            let header = bytes.withUnsafeBytes { try? FUSEReplyHeader(decoding: $0) }
            guard let header, header.length == bytes.count else { fatalError("a reply with a wrong head") }
            result.append(
                Answer(
                    unique: header.unique, errno: header.errno, data: Array(bytes.dropFirst(FUSEReplyHeader.byteCount)))
            )
        }
        return result
    }

    /// Sends a request that is answered at once; its answer.
    func ask(_ opcode: FUSEOpcode, node: UInt64 = 1, _ data: [UInt8] = [], user: UInt32 = 0) -> Answer {
        send(opcode, node: node, data, user: user)
        let all = answers()
        guard all.count == 1 else { fatalError("\(opcode) got \(all.count) answers") }
        return all[0]
    }

    /// Makes a file and opens it: node and handle.
    func create(_ name: String, flags: UInt32 = 2, mode: UInt32 = 0o100644) -> (node: UInt64, handle: UInt64) {
        let answer = ask(
            .create, Self.bytes(FUSECreateRequest(flags: flags, mode: mode, umask: 0o22)) + Self.name(name))
        let entry = answer.data.withUnsafeBytes { try? FUSEEntryReply(decoding: $0) }
        let opened = answer.data.dropFirst(FUSEEntryReply.byteCount).withUnsafeBytes {
            try? FUSEOpenReply(decoding: $0)
        }
        guard let entry, let opened else { fatalError("CREATE was answered with \(answer)") }
        return (entry.node, opened.handle)
    }

    func transfer(
        _ opcode: FUSEOpcode, _ file: (node: UInt64, handle: UInt64), at offset: UInt64, _ count: Int,
        flags: FUSETransferRequest.WriteFlags = [], openFlags: UInt32 = 2
    ) -> UInt64? {
        let request = FUSETransferRequest(
            handle: file.handle, offset: offset, size: UInt32(count), writeFlags: flags, flags: openFlags)
        let data = opcode == .write ? [UInt8](repeating: 0x77, count: count) : []
        return send(opcode, node: file.node, Self.bytes(request) + data)
    }

    // MARK: FileSystemServerHost

    var now: Instant { environment.now }

    func start(_ body: @escaping () async -> Void) {
        environment.spawn(body)
        environment.runReadyJobs()
    }

    func repliesAreWaiting() {}
    func mayReadAgain() { mayReadAgainCount += 1 }
    func isServing() { isServed = true }
    func drainRequests() {}

    func send(_ notification: FUSENotification, _ completion: @escaping (Int32) -> Void) {
        notifications.append(notification)
        completion(0)
    }

    func log(_ record: LogRecord) { records.append(record) }
}

import EngineKit
import FUSELayout
import FUSEServer
import LayoutKit
import Testing

/// A mount with a kernel and a backend of the test's, both in memory.
private final class FakeMount {
    let server: SingleFileServer
    let pool = IOBufferPool()
    var actions: [FUSEAction] = []
    private var nextUnique: UInt64 = 2

    init(isReadOnly: Bool = false, isInitialized: Bool = true, limits: SingleFileServer.Limits = .init()) {
        server = SingleFileServer(
            file: SingleFileServer.File(name: "drbd0", sizeBytes: 1 << 20, isReadOnly: isReadOnly), pool: pool,
            limits: limits)
        guard isInitialized else { return }
        initialize()
        _ = takeReplies()
        actions.removeAll()
    }

    func initialize(major: UInt32 = 7, minor: UInt32 = 45) {
        let request = FUSEInitRequest(
            major: major, minor: minor, readaheadMax: 131072, flags: FUSEInitFlags(rawValue: 0x73ff_fffb))
        send(.initialize, node: 0, encoded(FUSEInitRequest.byteCount) { request.encode(into: $0) })
    }

    @discardableResult
    func send(_ opcode: FUSEOpcode, node: UInt64 = 2, _ data: [UInt8] = []) -> UInt64 {
        nextUnique += 2
        let header = FUSERequestHeader(
            length: FUSERequestHeader.byteCount + data.count, opcode: opcode, unique: nextUnique, node: node)
        let bytes = encoded(FUSERequestHeader.byteCount) { header.encode(into: $0) } + data
        let window = server.receiveWindow()
        guard !window.isEmpty else { return 0 }
        window.copyBytes(from: bytes)
        server.received(bytes.count, into: &actions)
        return nextUnique
    }

    @discardableResult
    func send(_ opcode: FUSEOpcode, node: UInt64 = 2, _ request: some FixedLayout, payload: [UInt8] = []) -> UInt64 {
        send(opcode, node: node, encoded(type(of: request).byteCount) { request.encode(into: $0) } + payload)
    }

    func takeReplies() -> [(header: FUSEReplyHeader, data: [UInt8])] {
        var result: [(FUSEReplyHeader, [UInt8])] = []
        while !server.replies.isEmpty {
            let bytes = server.replies.withFirst { Array($0) + Array($1) }
            server.replyWritten()
            let header = try? bytes.withUnsafeBytes { try FUSEReplyHeader(decoding: $0) }
            guard let header else { continue }
            #expect(header.length == bytes.count)
            result.append((header, Array(bytes.dropFirst(FUSEReplyHeader.byteCount))))
        }
        return result
    }

    /// The error of the only reply.
    func takeError() -> Int32? {
        let replies = takeReplies()
        return replies.count == 1 ? replies[0].header.errno : nil
    }
}

private func encoded(_ count: Int, _ encode: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: count)
    result.withUnsafeMutableBytes { encode($0) }
    return result
}

private func pattern(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ ($0 >> 9)) }
}

@Suite struct SingleFileServerTests {
    @Test("INIT is answered with what was offered and wanted")
    func initialize() throws {
        let mount = FakeMount(isInitialized: false)
        mount.initialize()
        let replies = mount.takeReplies()
        let reply = try replies[0].data.withUnsafeBytes { try FUSEInitReply(decoding: $0) }
        #expect(reply.major == 7 && reply.minor == 38 && reply.writeByteCountMax == 524288 && reply.pagesMax == 128)
        #expect(reply.flags.contains([.asyncRead, .asyncDirectIO, .maxPages]))
        #expect(!reply.flags.contains(.writebackCache))
        #expect(mount.actions.contains { if case .ready = $0 { true } else { false } })
    }

    @Test("a kernel of a newer major number gets ours and asks again")
    func newerMajor() throws {
        let mount = FakeMount(isInitialized: false)
        mount.initialize(major: 8, minor: 0)
        #expect(mount.takeReplies().count == 1 && mount.actions.isEmpty)
        mount.initialize()
        #expect(mount.takeError() == 0)
    }

    @Test("a kernel that is too old is refused with a log line")
    func oldKernel() {
        let mount = FakeMount(isInitialized: false)
        mount.initialize(minor: 20)
        #expect(mount.takeError() == 71)
        #expect(mount.actions.contains { if case .log(let record) = $0 { record.level == .error } else { false } })
    }

    @Test("nothing is answered well before INIT")
    func beforeInit() {
        let mount = FakeMount(isInitialized: false)
        mount.send(.getAttributes, node: 1, [UInt8](repeating: 0, count: 16))
        #expect(mount.takeError() == 5)
    }

    @Test("the window leaves a WRITE's data at a page boundary and is large enough for the kernel")
    func window() {
        let mount = FakeMount()
        let window = mount.server.receiveWindow()
        #expect((UInt(bitPattern: window.baseAddress) + 80) % 4096 == 0)
        #expect(window.count >= 80 + 524288)
    }

    @Test("the root holds the file and nothing else")
    func names() throws {
        let mount = FakeMount()
        mount.send(.lookup, node: 1, Array("drbd0".utf8) + [0])
        let entry = try mount.takeReplies()[0].data.withUnsafeBytes { try FUSEEntryReply(decoding: $0) }
        #expect(entry.node == 2 && entry.attributes.sizeBytes == 1 << 20 && entry.attributes.mode == 0o100600)
        mount.send(.lookup, node: 1, Array("drbd1".utf8) + [0])
        #expect(mount.takeError() == 2)
        mount.send(.lookup, node: 2, Array("drbd0".utf8) + [0])
        #expect(mount.takeError() == 20)
        mount.send(.create, node: 1, [UInt8](repeating: 0, count: 16) + Array("x".utf8) + [0])
        #expect(mount.takeError() == 1)
    }

    @Test("a listing goes on where the last one ended")
    func listing() throws {
        let mount = FakeMount()
        mount.send(.readDirectory, node: 1, FUSETransferRequest(handle: 0, offset: 0, size: 64))
        #expect(mount.takeReplies()[0].data.count == 64)
        mount.send(.readDirectory, node: 1, FUSETransferRequest(handle: 0, offset: 2, size: 4096))
        let rest = mount.takeReplies()[0].data
        #expect(rest.count == 32 && Array(rest[24..<29]) == Array("drbd0".utf8))
        mount.send(.readDirectory, node: 1, FUSETransferRequest(handle: 0, offset: 3, size: 4096))
        #expect(mount.takeReplies()[0].data.isEmpty)
        mount.send(.readDirectory, node: 1, FUSETransferRequest(handle: 0, offset: .max, size: 4096))
        #expect(mount.takeReplies()[0].data.isEmpty)
    }

    @Test("the size, mode and owner of the file cannot be changed, its times may be set in vain")
    func setAttributes() {
        let mount = FakeMount()
        var truncation = FUSESetAttributesRequest(valid: .size)
        mount.send(.setAttributes, truncation)
        #expect(mount.takeError() == 1)
        truncation.sizeBytes = 1 << 20
        mount.send(.setAttributes, truncation)
        #expect(mount.takeError() == 0)
        mount.send(.setAttributes, FUSESetAttributesRequest(valid: .mode))
        #expect(mount.takeError() == 1)
        mount.send(.setAttributes, FUSESetAttributesRequest(valid: [.atime, .mtimeNow]))
        #expect(mount.takeError() == 0)
    }

    @Test("the file is opened without a cache in the kernel")
    func open() throws {
        let mount = FakeMount()
        mount.send(.open, FUSEOpenRequest(flags: 2))
        let reply = try mount.takeReplies()[0].data.withUnsafeBytes { try FUSEOpenReply(decoding: $0) }
        #expect(reply.flags == [.directIO, .noFlush, .parallelDirectWrites])
    }

    @Test("a read-only file is opened for reading only")
    func readOnly() {
        let mount = FakeMount(isReadOnly: true)
        mount.send(.open, FUSEOpenRequest(flags: 2))
        #expect(mount.takeError() == 30)
        mount.send(.open, FUSEOpenRequest(flags: 0))
        #expect(mount.takeError() == 0)
        mount.send(.write, FUSETransferRequest(handle: 0, offset: 0, size: 512), payload: pattern(512))
        #expect(mount.takeError() == 30)
    }

    @Test("a read is answered with the backend's bytes")
    func read() {
        let mount = FakeMount()
        let unique = mount.send(.read, FUSETransferRequest(handle: 0, offset: 4096, size: 8192))
        guard case .read(let id, offset: 4096, let slice)? = mount.actions.last else {
            Issue.record("no read")
            return
        }
        slice.bytes.copyBytes(from: pattern(8192))
        mount.server.completed(id, status: 0, into: &mount.actions)
        let reply = mount.takeReplies()[0]
        #expect(reply.header.unique == unique && reply.header.errno == 0 && reply.data == pattern(8192))
    }

    @Test("a read across the end is short, behind it empty")
    func readAtEnd() {
        let mount = FakeMount()
        mount.send(.read, FUSETransferRequest(handle: 0, offset: (1 << 20) - 512, size: 4096))
        guard case .read(_, _, let slice)? = mount.actions.last else {
            Issue.record("no read")
            return
        }
        #expect(slice.count == 512)
        for offset in [UInt64(1 << 20), .max] {
            mount.send(.read, FUSETransferRequest(handle: 0, offset: offset, size: 4096))
            #expect(mount.takeReplies().map(\.data) == [[]])
        }
    }

    @Test("a write reaches the backend page-aligned, small or large", arguments: [512, 4096, 65536, 524288])
    func write(count: Int) {
        let mount = FakeMount()
        mount.send(.write, FUSETransferRequest(handle: 0, offset: 512, size: UInt32(count)), payload: pattern(count))
        // A second one must not disturb the first.
        mount.send(
            .write, FUSETransferRequest(handle: 0, offset: 0, size: 512), payload: [UInt8](repeating: 7, count: 512))
        var slices: [IOSlice] = []
        var ids: [FUSERequestID] = []
        for case .write(let id, _, let slice) in mount.actions {
            slices.append(slice)
            ids.append(id)
        }
        #expect(slices.count == 2 && Array(slices[0].bytes) == pattern(count))
        #expect(UInt(bitPattern: slices[0].base) % 4096 == 0)
        mount.server.completed(ids[0], status: 0, into: &mount.actions)
        let reply = mount.takeReplies()[0].data
        #expect(reply == encoded(8) { FUSEWriteReply(size: UInt32(count)).encode(into: $0) })
    }

    @Test("a write whose size differs from its data is refused")
    func shortWrite() {
        let mount = FakeMount()
        mount.send(.write, FUSETransferRequest(handle: 0, offset: 0, size: 1024), payload: pattern(512))
        #expect(mount.takeError() == 22)
        #expect(mount.server.requestsInFlight == 0)
    }

    @Test("unaligned transfers and writes behind the end are refused")
    func refused() {
        let mount = FakeMount()
        mount.send(.write, FUSETransferRequest(handle: 0, offset: 100, size: 512), payload: pattern(512))
        #expect(mount.takeError() == 22)
        mount.send(.read, FUSETransferRequest(handle: 0, offset: 0, size: 100))
        #expect(mount.takeError() == 22)
        mount.send(.write, FUSETransferRequest(handle: 0, offset: 1 << 20, size: 512), payload: pattern(512))
        #expect(mount.takeError() == 28)
        mount.send(.write, FUSETransferRequest(handle: 0, offset: .max - 511, size: 512), payload: pattern(512))
        #expect(mount.takeError() == 28)
    }

    @Test("FSYNC waits for the backend, close does not")
    func fsync() {
        let mount = FakeMount()
        mount.send(.fsync, FUSEFsyncRequest(handle: 0, isDataOnly: true))
        #expect(mount.server.replies.isEmpty && mount.server.requestsInFlight == 1)
        mount.send(.flush, [UInt8](repeating: 0, count: 24))
        #expect(mount.takeError() == 0)
        guard case .flush(let id)? = mount.actions.last else {
            Issue.record("no flush")
            return
        }
        mount.server.completed(id, status: 5, into: &mount.actions)
        #expect(mount.takeError() == 5)
    }

    @Test("punching may unmap, zeroing may not")
    func fallocate() {
        let mount = FakeMount()
        mount.send(
            .fallocate, FUSEFallocateRequest(handle: 0, offset: 4096, length: 8192, mode: [.punchHole, .keepSize]))
        mount.send(.fallocate, FUSEFallocateRequest(handle: 0, offset: 0, length: 512, mode: [.zeroRange, .keepSize]))
        var seen: [String] = []
        for case .writeZeroes(_, let offset, let count, let mayUnmap) in mount.actions {
            seen.append("\(offset) \(count) \(mayUnmap)")
        }
        #expect(seen == ["4096 8192 true", "0 512 false"])
    }

    @Test("other modes of fallocate change nothing")
    func fallocateModes() {
        let mount = FakeMount()
        mount.send(.fallocate, FUSEFallocateRequest(handle: 0, offset: 0, length: 1 << 20, mode: []))
        #expect(mount.takeError() == 0)
        mount.send(.fallocate, FUSEFallocateRequest(handle: 0, offset: 512, length: 1 << 20, mode: []))
        #expect(mount.takeError() == 28)
        let collapse = FUSEFallocateRequest.Mode(rawValue: 0x08)
        mount.send(.fallocate, FUSEFallocateRequest(handle: 0, offset: 0, length: 512, mode: collapse))
        #expect(mount.takeError() == 95)
        mount.send(
            .fallocate, FUSEFallocateRequest(handle: 0, offset: .max, length: .max, mode: [.punchHole, .keepSize]))
        #expect(mount.takeError() == 28)
    }

    @Test("all is data up to the end")
    func seek() throws {
        let mount = FakeMount()
        mount.send(.seek, FUSESeekRequest(handle: 0, offset: 512, whence: .data))
        #expect(mount.takeReplies()[0].data == encoded(8) { FUSESeekReply(offset: 512).encode(into: $0) })
        mount.send(.seek, FUSESeekRequest(handle: 0, offset: 512, whence: .hole))
        #expect(mount.takeReplies()[0].data == encoded(8) { FUSESeekReply(offset: 1 << 20).encode(into: $0) })
        mount.send(.seek, FUSESeekRequest(handle: 0, offset: 1 << 20, whence: .data))
        #expect(mount.takeError() == 6)
    }

    @Test("FORGET and INTERRUPT get no answer", arguments: [FUSEOpcode.forget, .batchForget, .interrupt])
    func unanswered(opcode: FUSEOpcode) {
        let mount = FakeMount()
        mount.send(opcode, [UInt8](repeating: 0, count: 8))
        #expect(mount.server.replies.isEmpty)
    }

    @Test("no operation that must not be switched off is answered with ENOSYS")
    func notImplemented() {
        let allowed: Set<FUSEOpcode> = [
            .getExtendedAttribute, .setExtendedAttribute, .listExtendedAttributes, .removeExtendedAttribute, .statx,
            .copyFileRange, .copyFileRange64, .poll, .blockMap, .readDirectoryPlus,
        ]
        for opcode in FUSEOpcode.allCases where opcode != .initialize {
            for node: UInt64 in [1, 2, 3] {
                let mount = FakeMount()
                mount.send(opcode, node: node, [UInt8](repeating: 0, count: 104))
                for reply in mount.takeReplies() where reply.header.errno == 38 {
                    #expect(allowed.contains(opcode), "\(opcode)")
                }
            }
        }
    }

    @Test("reading stops at the limit and goes on with a completion")
    func backPressure() {
        var limits = SingleFileServer.Limits()
        limits.requestsInFlightMax = 2
        let mount = FakeMount(limits: limits)
        mount.send(.fsync, FUSEFsyncRequest(handle: 0, isDataOnly: false))
        mount.send(.fsync, FUSEFsyncRequest(handle: 0, isDataOnly: false))
        #expect(mount.server.receiveWindow().isEmpty)
        guard case .flush(let id)? = mount.actions.last else {
            Issue.record("no flush")
            return
        }
        mount.actions.removeAll()
        mount.server.completed(id, status: 0, into: &mount.actions)
        #expect(mount.actions.contains { if case .resumeReading = $0 { true } else { false } })
        #expect(!mount.server.receiveWindow().isEmpty)
    }

    @Test("completions after the end of the mount are taken without a word")
    func lost() {
        let mount = FakeMount()
        mount.send(.fsync, FUSEFsyncRequest(handle: 0, isDataOnly: false))
        guard case .flush(let id)? = mount.actions.last else {
            Issue.record("no flush")
            return
        }
        mount.server.connectionLost()
        mount.server.completed(id, status: 0, into: &mount.actions)
        #expect(mount.server.replies.isEmpty && mount.server.requestsInFlight == 0)
        #expect(mount.server.receiveWindow().isEmpty)
    }

    @Test("arbitrary requests never trap the server")
    func arbitraryRequests() {
        let random = SeededRandom(seed: 11)
        for _ in 0..<200 {
            let mount = FakeMount(isInitialized: random.next(below: 8) != 0)
            for _ in 0..<50 {
                let raw = UInt32(random.next(below: 56))
                let data = (0..<random.next(below: 120)).map { _ in
                    random.next(below: 3) == 0 ? UInt8(truncatingIfNeeded: random.next()) : 0
                }
                if let opcode = FUSEOpcode(rawValue: raw) {
                    mount.send(opcode, node: random.next(below: 4), data)
                }
                _ = mount.takeReplies()
                if mount.server.requestsInFlight > 200 { break }
            }
        }
    }
}

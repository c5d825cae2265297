import EngineKit
import EngineSimulation
import FUSELayout
import FUSEServer
import FileSystem
import LayoutKit
import Testing

private func entry(_ answer: FakeKernel.Answer) throws -> FUSEEntryReply {
    try answer.data.withUnsafeBytes { try FUSEEntryReply(decoding: $0) }
}

@Suite struct FileSystemServerTests {
    @Test("INIT asks for what the design wants, and only for what is offered")
    func initialize() throws {
        let kernel = FakeKernel(isInitialized: false)
        let answer = try #require(kernel.initialize())
        let reply = try answer.data.withUnsafeBytes { try FUSEInitReply(decoding: $0) }
        #expect(reply.minor == 45 && reply.writeByteCountMax == 1 << 20 && reply.pagesMax == 256)
        #expect(reply.backgroundMax == 65535 && reply.congestionThreshold == 65535)
        #expect(reply.flags.contains([.handleKillPrivilegesV2, .securityContext, .readDirectoryPlusAuto, .flockLocks]))
        #expect(reply.flags.isDisjoint(with: [.writebackCache, .posixLocks, .posixACL, .autoInvalidateData]))
        #expect(kernel.isServed)
        let old = FakeKernel(isInitialized: false)
        let plain = try #require(old.initialize(flags: 0x1, minor: 31))
        let oldReply = try plain.data.withUnsafeBytes { try FUSEInitReply(decoding: $0) }
        #expect(oldReply.minor == 31 && oldReply.flags == .asyncRead)
    }

    @Test("access lists bring POSIX_ACL and leave the umask to the filesystem")
    func umask() throws {
        let plain = FakeKernel()
        let name = FakeKernel.name("d")
        let request = FakeKernel.bytes(FUSEMakeDirectoryRequest(mode: 0o777, umask: 0o27))
        _ = plain.ask(.makeDirectory, request + name)
        #expect(plain.tree.root.children[0].node.mode == 0o040777, "the kernel has applied it")
        var options = FileSystemServerOptions()
        options.hasAccessLists = true
        let listed = FakeKernel(options: options)
        _ = listed.ask(.makeDirectory, request + name)
        #expect(listed.tree.root.children[0].node.mode == 0o040750)
    }

    @Test("node ids are inode numbers, the root is 1, and a missing name is remembered")
    func lookup() throws {
        let kernel = FakeKernel()
        let file = kernel.create("f")
        let found = try entry(kernel.ask(.lookup, FakeKernel.name("f")))
        #expect(found.node == file.node && found.node == kernel.tree.root.children[0].node.number)
        #expect(found.generation == 7 && found.nameTimeout.seconds == 3600 && found.attributesTimeout.seconds == 3600)
        let missing = try entry(kernel.ask(.lookup, FakeKernel.name("none")))
        #expect(missing.node == 0 && missing.nameTimeout.seconds == 3600)
        #expect(kernel.ask(.lookup, FakeKernel.name(String(repeating: "x", count: 256))).errno == 36)
        #expect(kernel.ask(.getAttributes, node: 999_999, [UInt8](repeating: 0, count: 16)).errno == 116)
    }

    @Test("a node lives until it is forgotten as often as it was told of, and no longer used")
    func forget() throws {
        let kernel = FakeKernel()
        let file = kernel.create("f")
        let node = kernel.tree.root.children[0].node
        _ = kernel.ask(.lookup, FakeKernel.name("f"))
        #expect(node.references == 1)
        kernel.send(.forget, node: file.node, FakeKernel.bytes(FUSEForgetRequest(lookupCount: 1)))
        #expect(node.references == 1)
        kernel.send(.forget, node: file.node, FakeKernel.bytes(FUSEForgetRequest(lookupCount: 1)))
        #expect(node.references == 1, "the handle holds it")
        _ = kernel.ask(
            .release, node: file.node, FakeKernel.bytes(FUSEReleaseRequest(handle: file.handle, flags: 2)))
        #expect(node.references == 0 && node.openCount == 0)
        kernel.send(.forget, node: file.node, FakeKernel.bytes(FUSEForgetRequest(lookupCount: 1)))
        #expect(kernel.records.contains { $0.level == .warning })
    }

    @Test("an answer that the kernel does not take tells it of nothing")
    func lostAnswer() {
        let kernel = FakeKernel()
        let file = kernel.create("f")
        _ = kernel.ask(
            .release, node: file.node, FakeKernel.bytes(FUSEReleaseRequest(handle: file.handle, flags: 2)))
        kernel.send(.lookup, FakeKernel.name("f"))
        #expect(kernel.answers(isTaken: false).count == 1)
        kernel.send(.forget, node: file.node, FakeKernel.bytes(FUSEForgetRequest(lookupCount: 1)))
        #expect(kernel.tree.root.children[0].node.references == 0)
        #expect(kernel.records.filter { $0.level >= .warning }.isEmpty)
    }

    @Test("what touches the same page runs in the order of arrival, the rest overtakes")
    func pageOrder() throws {
        let kernel = FakeKernel()
        let file = kernel.create("f")
        let gate = AsyncSignal()
        kernel.tree.gate = gate
        kernel.tree.isGateClosed = true
        let first = try #require(kernel.transfer(.write, file, at: 0, 100))
        kernel.tree.isGateClosed = false
        let sharing = try #require(kernel.transfer(.read, file, at: 4000, 8))
        let apart = try #require(kernel.transfer(.read, file, at: 8192, 8))
        let straddling = try #require(kernel.transfer(.write, file, at: 4090, 10))
        #expect(kernel.answers().map(\.unique) == [apart])
        gate.notify()
        #expect(kernel.answers().map(\.unique) == [first, sharing, straddling])
        #expect(kernel.tree.history == ["read 8192+8", "write 0+100", "read 4000+8", "write 4090+10"])
    }

    @Test("two reads of a page never wait for each other")
    func reads() throws {
        let kernel = FakeKernel()
        let file = kernel.create("f")
        kernel.tree.gate = AsyncSignal()
        kernel.tree.isGateClosed = true
        _ = kernel.transfer(.read, file, at: 0, 8)
        kernel.tree.isGateClosed = false
        let second = try #require(kernel.transfer(.read, file, at: 0, 8))
        #expect(kernel.answers().map(\.unique) == [second])
    }

    @Test("write-back extends nothing, appends go to the true end, and a misplaced one is taken back")
    func writes() throws {
        let kernel = FakeKernel()
        let file = kernel.create("f")
        _ = kernel.transfer(.write, file, at: 0, 100)
        _ = kernel.transfer(.write, file, at: 50, 100, flags: .cache)
        #expect(kernel.answers().allSatisfy { $0.errno == 0 })
        let node = kernel.tree.root.children[0].node
        #expect(node.data.count == 100)
        _ = kernel.transfer(.write, file, at: 40, 10, openFlags: 0o2002)
        _ = kernel.answers()
        #expect(node.data.count == 110)
        #expect(kernel.notifications == [.invalidateInode(node: file.node, offset: 40, length: 10)])
    }

    @Test("handles that append go around the page cache")
    func appendFlags() throws {
        let kernel = FakeKernel()
        let file = kernel.create("f")
        let request = FakeKernel.bytes(FUSEOpenRequest(flags: 0o2001))
        let opened = try kernel.ask(.open, node: file.node, request).data.withUnsafeBytes {
            try FUSEOpenReply(decoding: $0)
        }
        #expect(opened.flags.contains([.directIO, .keepCache]))
        #expect(kernel.server.writerCount(of: kernel.tree.root.children[0].node) == 2)
    }

    @Test("a full server is not read from until there is room")
    func backPressure() throws {
        var options = FileSystemServerOptions()
        options.limits.requestsInFlightMax = 2
        let kernel = FakeKernel(options: options)
        let file = kernel.create("f")
        let gate = AsyncSignal()
        kernel.tree.gate = gate
        kernel.tree.isGateClosed = true
        _ = try #require(kernel.transfer(.read, file, at: 0, 8))
        _ = try #require(kernel.transfer(.read, file, at: 0, 8))
        #expect(kernel.transfer(.read, file, at: 0, 8) == nil && kernel.mayReadAgainCount == 0)
        kernel.tree.isGateClosed = false
        gate.notify()
        #expect(kernel.answers().count == 2 && kernel.mayReadAgainCount == 1)
    }

    @Test("a listing with attributes counts a lookup for each node it tells of")
    func listing() throws {
        let kernel = FakeKernel()
        for name in ["a", "b", "c"] {
            let file = kernel.create(name)
            _ = kernel.ask(
                .release, node: file.node, FakeKernel.bytes(FUSEReleaseRequest(handle: file.handle, flags: 2)))
            kernel.send(.forget, node: file.node, FakeKernel.bytes(FUSEForgetRequest(lookupCount: 1)))
        }
        #expect(kernel.tree.referencesHeld == 1)
        // Room for "." and ".." and two more.
        let request = FUSETransferRequest(handle: 0, offset: 0, size: 4 * 160)
        let answer = kernel.ask(.readDirectoryPlus, FakeKernel.bytes(request))
        #expect(answer.data.count == 4 * 160)
        #expect(kernel.tree.referencesHeld == 3, "the third entry did not fit and is not held")
        let rest = kernel.ask(
            .readDirectoryPlus, FakeKernel.bytes(FUSETransferRequest(handle: 0, offset: 4, size: 4096)))
        #expect(rest.data.count == 160)
        let end = kernel.ask(
            .readDirectoryPlus, FakeKernel.bytes(FUSETransferRequest(handle: 0, offset: 5, size: 4096)))
        #expect(end.data.isEmpty && end.errno == 0)
    }

    @Test("flock waits for its turn, and a signal ends the wait")
    func flock() throws {
        let kernel = FakeKernel()
        let file = kernel.create("f")
        func lock(_ opcode: FUSEOpcode, owner: UInt64, _ type: FUSELockRequest.LockType) -> UInt64? {
            kernel.send(
                opcode, node: file.node,
                FakeKernel.bytes(FUSELockRequest(handle: file.handle, owner: owner, type: type, isFlock: true)))
        }
        _ = lock(.setLock, owner: 1, .write)
        #expect(kernel.answers().map(\.errno) == [0])
        _ = lock(.setLock, owner: 2, .read)
        #expect(kernel.answers().map(\.errno) == [11])
        let waiting = try #require(lock(.setLockWait, owner: 2, .read))
        let interrupted = try #require(lock(.setLockWait, owner: 3, .write))
        #expect(kernel.answers().isEmpty)
        kernel.send(.interrupt, node: file.node, FakeKernel.bytes(FUSEInterruptRequest(unique: interrupted)))
        let ended = kernel.answers()
        #expect(ended.map(\.unique) == [interrupted] && ended.map(\.errno) == [4])
        _ = lock(.setLock, owner: 1, .unlock)
        #expect(kernel.answers().map(\.unique).contains(waiting))
    }

    @Test("a security context comes with the new node")
    func securityContext() throws {
        let kernel = FakeKernel()
        let value = Array("system_u:object_r:tmp_t".utf8) + [0]
        let label = FakeKernel.name("security.selinux")
        var context = FakeKernel.bytes(8) { $0[LE32(offset: 0)] = UInt32(value.count) } + label + value
        context += [UInt8](repeating: 0, count: (8 - context.count % 8) % 8)
        let size = UInt32(8 + context.count)
        let head = FakeKernel.bytes(8) {
            $0[LE32(offset: 0)] = size
            $0[LE32(offset: 4)] = 1
        }
        let request = FakeKernel.bytes(FUSEMakeDirectoryRequest(mode: 0o755, umask: 0)) + FakeKernel.name("d")
        #expect(kernel.ask(.makeDirectory, request + head + context).errno == 0)
        let stored = kernel.tree.root.children[0].node.xattrs
        #expect(stored.map(\.name) == [Array("security.selinux".utf8)] && stored[0].value == value)
    }

    @Test("writing by somebody else takes set-ID bits and capabilities away, and the kernel is told")
    func privileges() throws {
        let kernel = FakeKernel()
        let file = kernel.create("f", mode: 0o106755)
        let node = kernel.tree.root.children[0].node
        node.xattrs = [(name: Array("security.capability".utf8), value: [1])]
        _ = kernel.transfer(.write, file, at: 0, 10, flags: .killSetIDs)
        #expect(kernel.answers().map(\.errno) == [0])
        #expect(node.mode == 0o100755 && node.xattrs.isEmpty)
        #expect(kernel.notifications == [.invalidateInode(node: file.node, offset: -1, length: 0)])
    }

    @Test("an open that fails when capabilities are to be taken away leaves nothing open")
    func failedOpen() {
        let kernel = FakeKernel()
        let file = kernel.create("f")
        kernel.tree.xattrFailure = .noSpace
        let request = FUSEOpenRequest(
            flags: FUSEOpenRequest.Flag.truncate | 2, openFlags: FUSEOpenRequest.killSetIDs)
        #expect(kernel.ask(.open, node: file.node, FakeKernel.bytes(request), user: 5).errno == 28)
        #expect(kernel.tree.root.children[0].node.openCount == 1, "by the handle of its creation")
    }

    @Test("requests cut short, of unknown kinds or for unknown nodes are answered with an error")
    func hostile() {
        let kernel = FakeKernel()
        for opcode in FUSEOpcode.allCases where opcode.isAnswered && opcode != .initialize && opcode != .destroy {
            for count in [0, 3, 7] {
                kernel.send(opcode, [UInt8](repeating: 0xff, count: count))
                let answers = kernel.answers()
                #expect(answers.count == 1, "\(opcode) with \(count) bytes")
            }
        }
        kernel.sendRaw([1, 2, 3])
        let header = FUSERequestHeader(length: 40, opcode: .statx, unique: 4242, node: 1)
        var bytes = FakeKernel.bytes(header)
        bytes[4] = 200
        kernel.sendRaw(bytes)
        let last = kernel.answers()
        #expect(last.map(\.errno) == [38] && last.map(\.unique) == [4242])
    }

    @Test("the end closes what is open and gives every node back")
    func end() {
        let kernel = FakeKernel()
        let file = kernel.create("f")
        let gate = AsyncSignal()
        kernel.tree.gate = gate
        kernel.tree.isGateClosed = true
        _ = kernel.transfer(.read, file, at: 0, 8)
        kernel.server.connectionLost()
        var isDone = false
        kernel.environment.spawn {
            await kernel.server.shutDown()
            isDone = true
        }
        kernel.environment.runReadyJobs()
        #expect(!isDone, "a request is under way")
        kernel.tree.isGateClosed = false
        gate.notify()
        kernel.environment.runReadyJobs()
        #expect(isDone && kernel.tree.referencesHeld == 0 && kernel.tree.openHandles == 0)
        #expect(kernel.answers().isEmpty)
    }

    @Test("every error of the filesystem has its number")
    func errors() {
        let kernel = FakeKernel()
        _ = kernel.create("f")
        #expect(kernel.ask(.removeDirectory, FakeKernel.name("f")).errno == 20)
        #expect(kernel.ask(.unlink, FakeKernel.name("none")).errno == 2)
        let rename = FakeKernel.bytes(FUSERenameRequest.byteCount) {
            FUSERenameRequest(newDirectory: 1, flags: .noReplace).encode(into: $0)
        }
        _ = kernel.create("g")
        #expect(kernel.ask(.rename2, rename + FakeKernel.name("f") + FakeKernel.name("g")).errno == 17)
        let whiteout = FakeKernel.bytes(FUSERenameRequest.byteCount) {
            FUSERenameRequest(newDirectory: 1, flags: .whiteout).encode(into: $0)
        }
        #expect(kernel.ask(.rename2, whiteout + FakeKernel.name("f") + FakeKernel.name("h")).errno == 22)
    }
}

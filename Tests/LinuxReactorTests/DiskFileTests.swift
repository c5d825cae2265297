internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import Testing

@Suite("Disk files")
struct DiskFileTests {
    /// A directory on a real filesystem, and one in memory.
    static let places = ["/var/tmp", "/dev/shm"]

    @Test("what was written is read back, in every size and kind of write", arguments: Reactor.Backend.tested, places)
    func roundTrip(backend: Reactor.Backend, place: String) async throws {
        let directory = try TemporaryDirectory(in: place)
        let disk = try DiskFile.open(path: directory.file("disk", byteCount: 8 << 20), access: .readWrite)
        let test = try TestReactor(backend)
        #expect(disk.capacity == 8 << 20)
        for (index, byteCount) in [512, 4096, 4608, 1 << 20].enumerated() {
            let offset = UInt64(index) * (1 << 20) + 512
            let byte = UInt8(index + 1)
            #expect(try await test.write(byte, disk, at: offset, byteCount: byteCount) == 0)
            #expect(try await test.readUniform(disk, at: offset, byteCount: byteCount) == byte)
            #expect(
                try await test.write(
                    byte | 0x80, disk, at: offset, byteCount: byteCount, flushBefore: true, forceUnitAccess: true) == 0)
            #expect(try await test.readUniform(disk, at: offset, byteCount: byteCount) == byte | 0x80)
        }
        #expect(try await test.complete(.flush, disk) == 0)
        #expect(try await test.readUniform(disk, at: 0, byteCount: 512) == 0)
    }

    @Test("the same where O_DIRECT is refused", arguments: Reactor.Backend.tested)
    func buffered(backend: Reactor.Backend) async throws {
        let directory = try TemporaryDirectory(in: "/var/tmp")
        let path = try directory.file("disk", byteCount: 1 << 20)
        let disk = try DiskFile.open(path: path, access: .readWrite, direct: false)
        let test = try TestReactor(backend)
        #expect(!disk.isDirect)
        for isForced in [false, true] {
            let byte: UInt8 = isForced ? 8 : 9
            #expect(try await test.write(byte, disk, at: 512, byteCount: 8192, forceUnitAccess: isForced) == 0)
            #expect(try await test.readUniform(disk, at: 512, byteCount: 8192) == byte)
        }
    }

    @Test("zeroes and discards leave zeroes and their neighbours alone", arguments: Reactor.Backend.tested, places)
    func zeroes(backend: Reactor.Backend, place: String) async throws {
        let directory = try TemporaryDirectory(in: place)
        let disk = try DiskFile.open(path: directory.file("disk", byteCount: 4 << 20), access: .readWrite)
        let test = try TestReactor(backend)
        #expect(disk.canDiscard && disk.discardZeroes)
        for kind in [DiskRequest.Kind.discard, .writeZeroes(mayUnmap: true), .writeZeroes(mayUnmap: false)] {
            #expect(try await test.write(7, disk, at: 0, byteCount: 2 << 20) == 0)
            #expect(try await test.complete(kind, disk, at: 4608, byteCount: 1 << 20) == 0)
            #expect(try await test.readUniform(disk, at: 0, byteCount: 4608) == 7)
            #expect(try await test.readUniform(disk, at: 4608, byteCount: 1 << 20) == 0)
            #expect(try await test.readUniform(disk, at: 4608 + (1 << 20), byteCount: 4096) == 7)
        }
    }

    @Test(
        "a thousand requests at once are all carried out, through a ring of eight", arguments: Reactor.Backend.tested,
        places)
    func manyAtOnce(backend: Reactor.Backend, place: String) async throws {
        let directory = try TemporaryDirectory(in: place)
        let disk = try DiskFile.open(path: directory.file("disk", byteCount: 8 << 20), access: .readWrite)
        let test = try TestReactor(backend, ringEntryCount: 8)
        let count = 2000
        let failures = try await test.run { (reactor, outcome: Outcome<Int>) in
            let probe = DiskProbe()
            disk.handler = probe
            for token in 0..<count {
                reactor.submit(
                    DiskRequest(
                        token: UInt64(token), kind: .write(flushBefore: false, forceUnitAccess: false),
                        offset: UInt64(token) * 4096, byteCount: 4096,
                        data: IOBuffer.filled(UInt8(token % 255), byteCount: 4096)), to: disk)
            }
            probe.onCompletion = { _ in
                guard probe.completions.count == count else { return }
                let tokens = Set(probe.completions.map(\.token))
                outcome.finish(probe.completions.filter { $0.errno != 0 }.count + count - tokens.count)
            }
        }
        #expect(failures == 0)
        for token in [0, 7, 8, 999, count - 1] {
            let byte = try await test.readUniform(disk, at: UInt64(token) * 4096, byteCount: 4096)
            #expect(byte == UInt8(token % 255))
        }
    }

    @Test("requests that cannot be are refused with a reason, later and not at once", arguments: Reactor.Backend.tested)
    func refusals(backend: Reactor.Backend) async throws {
        let directory = try TemporaryDirectory()
        let path = try directory.file("disk", byteCount: 1 << 20)
        let disk = try DiskFile.open(path: path, access: .readOnly)
        let test = try TestReactor(backend)
        #expect(try await test.write(1, disk, at: 0, byteCount: 512) == EROFS)
        #expect(try await test.complete(.discard, disk, at: 0, byteCount: 512) == EROFS)
        let behind = try await test.complete(
            .read, disk, at: 1 << 20, byteCount: 512, data: IOBuffer.filled(0, byteCount: 512))
        #expect(behind == EIO)
        let across = try await test.complete(
            .read, disk, at: (1 << 20) - 512, byteCount: 1024, data: IOBuffer.filled(0, byteCount: 1024))
        #expect(across == EIO)
        let isLater = try await test.perform { reactor -> Bool in
            let probe = DiskProbe()
            disk.handler = probe
            reactor.submit(DiskRequest(token: 1, kind: .discard, offset: 0, byteCount: 512), to: disk)
            return probe.completions.isEmpty
        }
        #expect(isLater)
    }

    @Test("a file that was cut behind our back gives an I/O error", arguments: Reactor.Backend.tested)
    func shrunk(backend: Reactor.Backend) async throws {
        let directory = try TemporaryDirectory()
        let path = try directory.file("disk", byteCount: 1 << 20)
        let disk = try DiskFile.open(path: path, access: .readWrite)
        let test = try TestReactor(backend)
        truncate(path, 6144)
        let errno = try await test.complete(
            .read, disk, at: 0, byteCount: 8192, data: IOBuffer.filled(0, byteCount: 8192))
        #expect(errno == EIO)
        #expect(try disk.currentCapacity() == 6144)
    }

    @Test("memory that O_DIRECT would refuse is served all the same", arguments: Reactor.Backend.tested)
    func unalignedMemory(backend: Reactor.Backend) async throws {
        let directory = try TemporaryDirectory(in: "/var/tmp")
        let disk = try DiskFile.open(path: directory.file("disk", byteCount: 1 << 20), access: .readWrite)
        let test = try TestReactor(backend)
        let data = IOBuffer.filled(9, byteCount: 8192).part(offset: 100, count: 4096)
        let kind = DiskRequest.Kind.write(flushBefore: false, forceUnitAccess: false)
        #expect(try await test.complete(kind, disk, at: 4096, byteCount: 4096, data: data) == 0)
        #expect(try await test.readUniform(disk, at: 4096, byteCount: 4096) == 9)
    }

    @Test("a second opener is refused until the first is gone; shared claims of this process meet")
    func claims() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.file("disk", byteCount: 1 << 20)
        let busy = SystemError(operation: "claim \(path)", code: EBUSY)
        do {
            let first = try DiskFile.open(path: path, access: .readWrite)
            withExtendedLifetime(first) {
                #expect(throws: busy) { try DiskFile.open(path: path, access: .readWrite) }
                #expect(throws: busy) { try DiskFile.open(path: path, access: .readOnly) }
                #expect(throws: busy) {
                    try DiskFile.open(path: path, access: .readWrite, claim: .sharedWithinProcess)
                }
                _ = #expect(throws: Never.self) { try DiskFile.open(path: path, access: .readOnly, claim: .none) }
            }
        }
        let first = try DiskFile.open(path: path, access: .readWrite, claim: .sharedWithinProcess)
        let second = try DiskFile.open(path: path, access: .readWrite, claim: .sharedWithinProcess)
        withExtendedLifetime((first, second)) {
            _ = #expect(throws: busy) { try DiskFile.open(path: path, access: .readWrite) }
        }
        #expect("\(busy)" == "claim \(path): Device or resource busy")
    }

    @Test(
        "another process is refused as long as the disk is open",
        arguments: [DiskFile.Claim.exclusive, .sharedWithinProcess])
    func claimAgainstProcesses(claim: DiskFile.Claim) async throws {
        let directory = try TemporaryDirectory()
        let path = try directory.file("disk", byteCount: 1 << 20)
        let test = try TestReactor(.epoll)
        let lock = "exec flock --nonblock --conflict-exit-code 7 \(path) true"
        do {
            let disk = try DiskFile.open(path: path, access: .readWrite, claim: claim)
            #expect(try await test.shell(lock) == .exited(status: 7))
            withExtendedLifetime(disk) {}
        }
        #expect(try await test.shell(lock) == .exited(status: 0))
    }

    @Test("what is no disk is refused, and says what it is not")
    func notADisk() throws {
        #expect(throws: SystemError(operation: "open /dev/null", code: ENOTBLK)) {
            try DiskFile.open(path: "/dev/null", access: .readWrite)
        }
        #expect(throws: SystemError(operation: "open /nonexistent/disk", code: ENOENT)) {
            try DiskFile.open(path: "/nonexistent/disk", access: .readWrite)
        }
    }

    @Test(
        "closing a disk with requests under way is quiet, and gives the claim back", arguments: Reactor.Backend.tested)
    func closeWhilePending(backend: Reactor.Backend) async throws {
        let directory = try TemporaryDirectory(in: "/var/tmp")
        let path = try directory.file("disk", byteCount: 4 << 20)
        let test = try TestReactor(backend)
        let probe = Confined(DiskProbe())
        try await test.perform { reactor in
            let disk = try DiskFile.open(path: path, access: .readWrite)
            disk.handler = probe.value
            for token in 0..<100 {
                reactor.submit(
                    DiskRequest(
                        token: UInt64(token), kind: .write(flushBefore: true, forceUnitAccess: true),
                        offset: UInt64(token) * 4096, byteCount: 4096, data: IOBuffer.filled(1, byteCount: 4096)),
                    to: disk)
            }
            reactor.close(disk)
        }
        // The claim is the proof that all operations are done; it goes with the last of them.
        let disk = try await test.waitUntilOpen(path)
        let completions = try await test.perform { _ in probe.value.completions.count }
        #expect(completions == 0)
        #expect(try await test.readUniform(disk, at: 0, byteCount: 4096) == 1)
    }

    @Test("stopping a reactor with requests under way waits for them", arguments: Reactor.Backend.tested)
    func stopWhilePending(backend: Reactor.Backend) async throws {
        let directory = try TemporaryDirectory(in: "/var/tmp")
        let path = try directory.file("disk", byteCount: 4 << 20)
        let disk = try DiskFile.open(path: path, access: .readWrite)
        do {
            let test = try TestReactor(backend)
            try await test.perform { reactor in
                for token in 0..<100 {
                    reactor.submit(
                        DiskRequest(
                            token: UInt64(token), kind: .write(flushBefore: false, forceUnitAccess: false),
                            offset: UInt64(token) * 4096, byteCount: 4096,
                            data: IOBuffer.filled(3, byteCount: 4096)), to: disk)
                }
                reactor.stop()
            }
            test.reactor.join()
        }
        let bytes = IOBuffer(byteCount: 4096)
        let slice = IOSlice(buffer: bytes, offset: 0, count: 4096)
        try disk.read(at: 99 * 4096, into: slice.bytes)
        #expect(slice.uniformByte == 3)
    }
}

/// Tests that make devices and mounts.
@Suite(
    "Disk files, as root", .enabled(if: geteuid() == 0, "needs root for loop devices and mounts"), .serialized)
struct DiskDeviceTests {
    @Test(
        "a loop device is a disk: claimed, flushed, discarded, zeroed", arguments: Reactor.Backend.tested, [512, 4096])
    func loopDevice(backend: Reactor.Backend, blockSize: Int) async throws {
        let directory = try TemporaryDirectory(in: "/var/tmp")
        let path = try directory.file("image", byteCount: 8 << 20)
        let test = try TestReactor(backend)
        try await test.withLoopDevice(on: path, blockSize: blockSize) { device in
            let disk = try DiskFile.open(path: device, access: .readWrite)
            #expect(disk.isBlockDevice && disk.isDirect && disk.canDiscard && !disk.discardZeroes)
            #expect(disk.capacity == 8 << 20)
            #expect(disk.logicalBlockSize == blockSize)
            #expect(throws: SystemError(operation: "claim \(device)", code: EBUSY)) {
                try DiskFile.open(path: device, access: .readWrite)
            }
            // A sector that is no whole block of the device, then blocks.
            for (offset, byteCount) in [(512, 512), (8192, 4096), (1 << 20, 1 << 20)] {
                let byte = UInt8(truncatingIfNeeded: byteCount >> 9 | 1)
                #expect(
                    try await test.write(
                        byte, disk, at: UInt64(offset), byteCount: byteCount, flushBefore: true,
                        forceUnitAccess: true) == 0)
                #expect(try await test.readUniform(disk, at: UInt64(offset), byteCount: byteCount) == byte)
            }
            #expect(try await test.readUniform(disk, at: 0, byteCount: 512) == 0)
            for (index, mayUnmap) in [true, false].enumerated() {
                #expect(try await test.write(5, disk, at: 2 << 20, byteCount: 64 << 10) == 0)
                // Not aligned to 4096: zeroes are written where the device cannot do it.
                let offset = UInt64(2 << 20 + 4096 + 512 * index)
                #expect(
                    try await test.complete(.writeZeroes(mayUnmap: mayUnmap), disk, at: offset, byteCount: 8192) == 0)
                #expect(try await test.readUniform(disk, at: offset, byteCount: 8192) == 0)
                #expect(try await test.readUniform(disk, at: offset + 8192, byteCount: 512) == 5)
            }
            #expect(try await test.complete(.discard, disk, at: 1 << 20, byteCount: 1 << 20) == 0)
            #expect(try await test.complete(.flush, disk) == 0)
            try await test.perform { $0.close(disk) }
        }
    }

    @Test("a full filesystem under a sparse file is reported as that", arguments: Reactor.Backend.tested)
    func noSpace(backend: Reactor.Backend) async throws {
        let directory = try TemporaryDirectory()
        let test = try TestReactor(backend)
        let mount = "mount -t tmpfs -o size=64k none \(directory.path)"
        #expect(try await test.shell(mount) == .exited(status: 0))
        do {
            let disk = try DiskFile.open(path: directory.file("disk", byteCount: 1 << 20), access: .readWrite)
            #expect(try await test.write(1, disk, at: 0, byteCount: 32 << 10) == 0)
            #expect(try await test.write(1, disk, at: 512 << 10, byteCount: 256 << 10) == ENOSPC)
            let zeroes = try await test.complete(
                .writeZeroes(mayUnmap: false), disk, at: 512 << 10, byteCount: 256 << 10)
            #expect(zeroes == ENOSPC)
        } catch {
            Issue.record(error)
        }
        #expect(try await test.shell("umount --lazy \(directory.path)") == .exited(status: 0))
    }
}

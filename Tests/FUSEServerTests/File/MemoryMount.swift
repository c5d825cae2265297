import EngineKit
import FUSEServer
import Glibc
import LinuxReactor

/// A real mount whose file lies in memory, served by one thread that polls.
final class MemoryMount: @unchecked Sendable {
    /// What the server saw; read after ``join()``.
    struct Counters {
        var reads = 0
        var writes = 0
        var flushes = 0
        var zeroings = 0
        var zeroingsThatMayUnmap = 0
        var zeroedBytes: UInt64 = 0
        /// Most requests at the backend at once.
        var requestsAtOnce = 0
        var misaligned = 0
        var endedByKernel = false
    }

    let mount: FUSEMount
    let directory: String
    private let server: SingleFileServer
    private let stopPipe: [Int32]
    private var thread = pthread_t()
    private var pending: [FUSEAction] = []

    // Owned by the server's thread until it has ended.
    private(set) var disk: [UInt8]
    private(set) var counters = Counters()

    init(fileName: String, sizeBytes: Int) throws {
        var template = Array("/tmp/yoke-fuse-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { fatalError("mkdtemp: errno \(errno)") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        mount = try FUSEMount.mount(source: "yoke-test", on: directory)
        disk = [UInt8](repeating: 0, count: sizeBytes)
        server = SingleFileServer(
            file: SingleFileServer.File(name: fileName, sizeBytes: UInt64(sizeBytes)), pool: IOBufferPool())
        stopPipe = closedOnExec { pipe(&$0) }
        let argument = Unmanaged.passRetained(self).toOpaque()
        pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<MemoryMount>.fromOpaque(argument!).takeRetainedValue().serve()
                return nil
            }, argument)
    }

    /// Lets the thread end, unless the kernel has ended the mount already. `/dev/fuse` is closed either way.
    func stop() {
        var byte: UInt8 = 0
        write(stopPipe[1], &byte, 1)
        join()
    }

    /// Waits until the kernel ends the mount; after this the disk and the counters may be read.
    func join() {
        pthread_join(thread, nil)
        close(stopPipe[0])
        close(stopPipe[1])
        rmdir(directory)
    }

    // MARK: The server's thread

    private func serve() {
        defer { close(mount.descriptor) }
        while true {
            var polls = [
                pollfd(fd: stopPipe[0], events: Int16(POLLIN), revents: 0),
                pollfd(fd: mount.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&polls, nfds_t(polls.count), -1)
            if polls[0].revents != 0 { return }
            var actions: [FUSEAction] = []
            guard readAll(into: &actions) else {
                counters.endedByKernel = true
                return
            }
            counters.requestsAtOnce = max(counters.requestsAtOnce, server.requestsInFlight)
            while !actions.isEmpty {
                let batch = actions
                actions.removeAll()
                for action in batch.reversed() { perform(action, into: &actions) }
            }
            writeReplies()
        }
    }

    /// Reads until nothing waits; false when the mount has ended.
    private func readAll(into actions: inout [FUSEAction]) -> Bool {
        while true {
            let window = server.receiveWindow()
            guard !window.isEmpty else { return true }
            let count = read(mount.descriptor, window.baseAddress, window.count)
            if count > 0 {
                server.received(count, into: &actions)
                writeReplies()
                continue
            }
            switch errno {
            case EAGAIN: return true
            case EINTR, ENOENT: continue
            default:
                server.connectionLost()
                return false
            }
        }
    }

    private func writeReplies() {
        while !server.replies.isEmpty {
            server.replies.withFirst { head, payload in
                let pieces = [
                    iovec(iov_base: UnsafeMutableRawPointer(mutating: head.baseAddress), iov_len: head.count),
                    iovec(iov_base: UnsafeMutableRawPointer(mutating: payload.baseAddress), iov_len: payload.count),
                ]
                _ = writev(mount.descriptor, pieces, payload.isEmpty ? 1 : 2)
            }
            server.replyWritten()
        }
    }

    private func perform(_ action: FUSEAction, into actions: inout [FUSEAction]) {
        switch action {
        case .read(let id, let offset, let slice):
            counters.reads += 1
            if UInt(bitPattern: slice.base) % 4096 != 0 { counters.misaligned += 1 }
            disk.withUnsafeBytes {
                slice.bytes.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)..<Int(offset) + slice.count]))
            }
            server.completed(id, status: 0, into: &actions)
        case .write(let id, let offset, let slice):
            counters.writes += 1
            if UInt(bitPattern: slice.base) % 4096 != 0 { counters.misaligned += 1 }
            disk.withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[Int(offset)..<Int(offset) + slice.count])
                    .copyMemory(from: UnsafeRawBufferPointer(slice.bytes))
            }
            server.completed(id, status: 0, into: &actions)
        case .flush(let id):
            counters.flushes += 1
            server.completed(id, status: 0, into: &actions)
        case .writeZeroes(let id, let offset, let count, let mayUnmap):
            counters.zeroings += 1
            if mayUnmap { counters.zeroingsThatMayUnmap += 1 }
            counters.zeroedBytes += count
            disk.withUnsafeMutableBytes { _ = memset($0.baseAddress! + Int(offset), 0, Int(count)) }
            server.completed(id, status: 0, into: &actions)
        case .resumeReading, .ready, .log:
            break
        }
    }
}

package import EngineKit
package import FUSELayout
internal import FileSystem
internal import LayoutKit

/// What a ``FileSystemServer`` needs of its thread. Everything is called on that thread.
package protocol FileSystemServerHost: AnyObject {
    var now: Instant { get }
    /// Runs `body` as a task of this thread, in the order of the calls; in the daemon still in this round.
    ///
    /// Not with `Task.immediate`: with a preferred executor (Swift 6.3.1, Linux) a task that began so was sometimes
    /// never resumed after a wait.
    func start(_ body: @escaping () async -> Void)
    /// ``FileSystemServer/replies`` holds something to write; not repeated before it was empty.
    func repliesAreWaiting()
    /// Reading was stopped by an empty window; ask for the window again.
    func mayReadAgain()
    /// The kernel knows the filesystem now: system calls below the mount point no longer wait for it.
    func isServing()
    /// Takes all requests that the kernel has ready.
    func drainRequests()
    /// Writes a notification, from where that may block, and calls back with 0 or an errno. Spec: fuse 15.
    func send(_ notification: FUSENotification, _ completion: @escaping (_ errno: Int32) -> Void)
    func log(_ record: LogRecord)
}

/// Limits of one mount; when one is reached, `/dev/fuse` is not read.
package struct FileSystemServerLimits: Sendable {
    package var requestsInFlightMax = 4096
    package var bytesInFlightMax = 256 << 20

    package init() {}
}

/// What was agreed at the mount.
package struct FileSystemServerOptions: Sendable {
    /// Access lists are the filesystem's: the kernel enforces them, and leaves the umask to us.
    package var hasAccessLists = false
    /// Handles opened with O_APPEND go around the page cache, so that no page can land at a wrong place. Spec: fuse 23.
    package var appendsAreDirect = true
    package var isReadOnly = false
    /// For the log.
    package var name = "fuse"
    package var limits = FileSystemServerLimits()

    package init() {}
}

/// The FUSE server of a whole filesystem: requests of the kernel in, operations of the filesystem, replies out.
///
/// **Path of a request.** The owner of `/dev/fuse` reads it into ``receiveWindow()`` and calls ``received(_:)``. The
/// request is decoded there and then, since the window is used again; what is left is a closure that the host starts on
/// the same thread. If nothing has to be waited for, the reply is written in the round in which the request was read.
///
/// **Cost** of a request that does not wait: one task and its closure (0.4 to 0.75 us), one table look-up for the node,
/// no copy of a payload of 64 KiB and more.
///
/// **Order.** READs and WRITEs of one file that touch the same page run in the order of arrival
/// (``PageRangeQueue``); everything else is the filesystem's own locking.
///
/// **Node ids** are inode numbers, the root's is 1. A node lives here as long as the kernel remembers it, a handle is open
/// or a request uses it. Spec: fuse 3.
///
/// **End.** ``connectionLost()`` when the device reports ENODEV (unmounted) or ECONNABORTED, then ``shutDown()``.
package final class FileSystemServer<Operations: FileSystemOperations> {
    package typealias Node = Operations.Node
    typealias Record = NodeRecord<Node>

    enum Phase {
        /// Nothing but INIT may come.
        case mounted
        case serving
        case closed
    }

    package internal(set) var replies = FUSEReplyQueue()
    /// Counters for status and tests.
    package internal(set) var statistics = FileSystemServerStatistics()

    let operations: Operations
    let options: FileSystemServerOptions
    let policy: KernelCachePolicy<Node>
    let pool: IOBufferPool
    unowned let host: any FileSystemServerHost

    var phase = Phase.mounted
    /// What the kernel and we agreed on.
    var agreed: FUSEInitFlags = []
    var kernelMinor: UInt32 = 0
    var nodes: NodeTable<Node>
    var handles = HandleTable<Node>()
    var flocks = FlockTable()
    var buffers = ReceiveBuffers()
    var interrupts = InterruptTable()
    private var isPaused = false
    private var underWay = RequestsUnderWay()
    private let idle = AsyncSignal()

    /// - Parameter root: the root directory with a reference, which the server takes over.
    package init(
        operations: Operations, root: Node, options: FileSystemServerOptions = FileSystemServerOptions(),
        policy: KernelCachePolicy<Node> = KernelCachePolicy(), pool: IOBufferPool, host: any FileSystemServerHost
    ) {
        self.operations = operations
        self.options = options
        self.policy = policy
        self.pool = pool
        self.host = host
        nodes = NodeTable(root: root)
    }

    /// Whether the kernel has ended the connection.
    package var isClosed: Bool { phase == .closed }

    // MARK: The device

    /// Where the next request shall be read to; empty when none is to be read now.
    package func receiveWindow() -> UnsafeMutableRawBufferPointer {
        guard phase != .closed else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        guard hasRoom else {
            isPaused = true
            return UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
        return buffers.window
    }

    private var hasRoom: Bool {
        underWay.count < options.limits.requestsInFlightMax && underWay.byteCount < options.limits.bytesInFlightMax
    }

    /// One request of `count` bytes was read into the window.
    package func received(_ count: Int) {
        guard phase != .closed else { return }
        let window = buffers.window
        precondition(count <= window.count, "received more than the window")
        let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(window)[..<count])
        let header: FUSERequestHeader
        do {
            header = try FUSERequestHeader(decoding: bytes)
        } catch {
            log(.error, "request without a proper head: \(error)")
            return
        }
        statistics.requestCount += 1
        do {
            try dispatch(header, bytes.dropped(FUSERequestHeader.byteCount))
        } catch {
            log(.error, "request \(header.unique) of kind \(header.rawOpcode): \(error)")
            if FUSEOpcode(rawValue: header.rawOpcode)?.isAnswered ?? true { fail(header.unique, ErrorNumber.invalid) }
        }
    }

    /// The first reply was written; `isTaken` is false when the kernel did not want it any more (ENOENT).
    package func replyWritten(isTaken: Bool) {
        let told = replies.removeFirst()
        guard !isTaken else { return }
        for node in told { _ = nodes.forget(node, count: 1) }
    }

    /// The filesystem was unmounted or its connection aborted: nothing more comes, nothing more is wanted.
    package func connectionLost() {
        phase = .closed
        replies = FUSEReplyQueue()
        flocks.interruptAll()
    }

    /// Waits for what is under way, closes what is still open and gives all nodes back. After ``connectionLost()``.
    package func shutDown() async {
        precondition(phase == .closed, "a server is shut down that still serves")
        while underWay.count > 0 { await idle.wait() }
        for (number, handle) in handles.all {
            _ = handles.remove(number)
            if let mode = handle.mode { await operations.closeFile(handle.record.node, mode) }
            nodes.endUse(handle.record)
        }
        nodes.forgetAll()
        nodes.root.node.release()
    }

    // MARK: Requests under way

    /// Carries out `body`, which replies; an error that it throws is the reply.
    ///
    /// - Parameter bytes: memory that it holds.
    func run(
        _ header: FUSERequestHeader, _ record: Record, bytes: Int = 0,
        _ body: @escaping () async throws(FileSystemError) -> Void
    ) {
        let slot = underWay.begin(header, byteCount: bytes, now: host.now)
        nodes.beginUse(record)
        let unique = header.unique
        host.start { [self] in
            do throws(FileSystemError) {
                try await body()
            } catch {
                fail(unique, ErrorNumber.number(of: error))
            }
            nodes.endUse(record)
            underWay.end(slot, byteCount: bytes)
            requestEnded()
        }
    }

    /// Requests that wait for longer than since `instant`, the oldest first. Spec: fuse 22 rule 7.
    package func requests(olderThan instant: Instant) -> [RequestUnderWay] {
        underWay.older(than: instant)
    }

    private func requestEnded() {
        if underWay.count == 0 { idle.notify() }
        guard isPaused, hasRoom else { return }
        isPaused = false
        host.mayReadAgain()
    }

    // MARK: Replies

    func reply(_ unique: UInt64, _ value: some FixedLayout, node: UInt64? = nil) {
        let count = FUSEReplyHeader.byteCount + type(of: value).byteCount
        append(count: count, nodes: node.map { [$0] } ?? []) {
            FUSEReplyHeader(length: count, errno: 0, unique: unique).encode(into: $0)
            value.encode(into: $0.dropped(FUSEReplyHeader.byteCount))
        }
    }

    func reply(_ unique: UInt64, bytes: [UInt8]) {
        let count = FUSEReplyHeader.byteCount + bytes.count
        append(count: count) {
            FUSEReplyHeader(length: count, errno: 0, unique: unique).encode(into: $0)
            $0.dropped(FUSEReplyHeader.byteCount).copyBytes(from: bytes)
        }
    }

    /// A payload that is not copied.
    func reply(_ unique: UInt64, payload: IOSlice, nodes: [UInt64] = []) {
        append(count: FUSEReplyHeader.byteCount, payload: payload.count == 0 ? nil : payload, nodes: nodes) {
            FUSEReplyHeader(length: FUSEReplyHeader.byteCount + payload.count, errno: 0, unique: unique)
                .encode(into: $0)
        }
    }

    /// Success without data.
    func acknowledge(_ unique: UInt64) {
        append(count: FUSEReplyHeader.byteCount) {
            FUSEReplyHeader(length: FUSEReplyHeader.byteCount, errno: 0, unique: unique).encode(into: $0)
        }
    }

    func fail(_ unique: UInt64, _ errno: Int32) {
        append(count: FUSEReplyHeader.byteCount) {
            FUSEReplyHeader(length: FUSEReplyHeader.byteCount, errno: errno, unique: unique).encode(into: $0)
        }
    }

    func append(
        count: Int, payload: IOSlice? = nil, nodes: [UInt64] = [], _ write: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        guard phase != .closed else { return }
        let wasEmpty = replies.isEmpty
        replies.append(count: count, payload: payload, nodes: nodes, write)
        if wasEmpty { host.repliesAreWaiting() }
    }

    func log(_ level: LogLevel, _ text: String) {
        host.log(LogRecord(level, "\(options.name): \(text)"))
    }
}

/// What a server has done so far.
package struct FileSystemServerStatistics: Equatable, Sendable {
    package var requestCount: UInt64 = 0
    package var readByteCount: UInt64 = 0
    package var writtenByteCount: UInt64 = 0
    package var notificationCount: UInt64 = 0

    package init() {}
}

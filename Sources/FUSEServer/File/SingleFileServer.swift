package import EngineKit
internal import FUSELayout
internal import LayoutKit

/// A FUSE filesystem that holds one regular file, the front of a volume. No I/O of its own.
///
/// It exists for a loop device in direct-I/O mode, which makes a block device of the file. The kernel caches nothing
/// of it: the file is opened with DIRECT_IO, since the volume changes behind the kernel's back, through other clients
/// and through the peer. The filesystem cannot be changed in any way but by writing to the file.
///
/// The owner of `/dev/fuse`
/// * asks for ``receiveWindow()``, reads one request into it, calls ``received(_:into:)``; an empty window means: do
///   not read until ``FUSEAction/resumeReading``;
/// * writes the ``replies``, one write for each, and tells it by ``replyWritten()``;
/// * carries out the actions and completes those that carry an id;
/// * calls ``connectionLost()`` when the device reports ENODEV (unmounted) or ECONNABORTED.
///
/// Buffers: a request is read so that its two headers (40 + 40 bytes) end at a page boundary. The data of a large
/// WRITE stay where they are, page-aligned, and the buffer goes with them; small data are copied, since a buffer of
/// 1 MiB for each would cost more.
///
/// ```
///            4016      4056      4096                        1 MiB
///   | unused | header  | WRITE   | data, at most 512 KiB ...  |
///            ^ window
/// ```
///
/// Spec: fuse 1 to 8.
package final class SingleFileServer {
    /// What the file is.
    package struct File: Sendable {
        package var name: String
        package var sizeBytes: UInt64
        /// Offsets and lengths must be multiples of this.
        package var blockBytes: Int
        package var isReadOnly: Bool

        package init(name: String, sizeBytes: UInt64, blockBytes: Int = 512, isReadOnly: Bool = false) {
            precondition(blockBytes >= 512 && blockBytes & (blockBytes - 1) == 0, "block of \(blockBytes) bytes")
            precondition(!name.isEmpty && name.utf8.count <= 255 && !name.utf8.contains(0x2f), "file name \(name)")
            self.name = name
            self.sizeBytes = sizeBytes
            self.blockBytes = blockBytes
            self.isReadOnly = isReadOnly
        }
    }

    /// Limits of one mount; when one is reached, `/dev/fuse` is not read.
    package struct Limits: Sendable {
        package var requestsInFlightMax = 256
        package var bytesInFlightMax = 64 << 20

        package init() {}
    }

    enum Phase {
        /// Nothing but INIT may come.
        case mounted
        case serving
        case closed
    }

    /// Node ids. The root's is the protocol's, the file's is ours.
    enum Node {
        static let root: UInt64 = 1
        static let file: UInt64 = 2
    }

    /// Largest WRITE and READ.
    static let transferByteCountMax = 512 << 10
    static let pageByteCount = 4096
    /// Header and second header in front of a WRITE's data.
    static let headByteCount = FUSERequestHeader.byteCount + FUSETransferRequest.byteCount
    static let receiveBufferByteCount = 1 << 20
    /// From this size on the data of a WRITE take the receive buffer with them.
    static let handOverByteCount = 64 << 10

    package internal(set) var replies = FUSEReplyQueue()

    let file: File
    let fileName: [UInt8]
    let limits: Limits
    let pool: IOBufferPool
    var phase = Phase.mounted
    var receiveBuffer: IOBuffer
    var inFlight = InFlightTable()
    var opensParallelWrites = false
    private var isPaused = false

    package init(file: File, pool: IOBufferPool, limits: Limits = Limits()) {
        self.file = file
        fileName = Array(file.name.utf8)
        self.pool = pool
        self.limits = limits
        receiveBuffer = pool.take(byteCount: Self.receiveBufferByteCount)
    }

    /// Requests at the backend. The server may be let go when it is closed and this is 0.
    package var requestsInFlight: Int { inFlight.count }
    package var isClosed: Bool { phase == .closed }

    /// Where the next request shall be read to; empty when none is to be read now.
    package func receiveWindow() -> UnsafeMutableRawBufferPointer {
        guard phase != .closed else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        guard hasRoom else {
            isPaused = true
            return UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
        let start = Self.pageByteCount - Self.headByteCount
        return UnsafeMutableRawBufferPointer(start: receiveBuffer.base + start, count: receiveBuffer.capacity - start)
    }

    private var hasRoom: Bool {
        inFlight.count < limits.requestsInFlightMax && inFlight.byteCount < limits.bytesInFlightMax
    }

    /// One request of `count` bytes was read into the window.
    package func received(_ count: Int, into actions: inout [FUSEAction]) {
        guard phase != .closed else { return }
        let start = Self.pageByteCount - Self.headByteCount
        precondition(count <= receiveBuffer.capacity - start, "received more than the window")
        let bytes = UnsafeRawBufferPointer(start: receiveBuffer.base + start, count: count)
        let header: FUSERequestHeader
        do {
            header = try FUSERequestHeader(decoding: bytes)
        } catch {
            log(.error, "request without a proper head: \(error)", into: &actions)
            return
        }
        let data = bytes.dropped(FUSERequestHeader.byteCount)
        do {
            try answer(header, data, into: &actions)
        } catch {
            log(.error, "request \(header.unique) of kind \(header.rawOpcode): \(error)", into: &actions)
            if FUSEOpcode(rawValue: header.rawOpcode)?.isAnswered ?? true { fail(header, ErrorNumber.invalid) }
        }
    }

    /// The backend has finished a request: `status` is 0 or an errno of Linux.
    package func completed(_ id: FUSERequestID, status: Int32, into actions: inout [FUSEAction]) {
        let request = inFlight.remove(id)
        guard phase != .closed else { return }
        if status != 0 {
            // The device takes no number above 511.
            fail(request.unique, status > 0 && status <= 511 ? status : ErrorNumber.inputOutput)
        } else {
            succeed(request)
        }
        if isPaused && hasRoom {
            isPaused = false
            actions.append(.resumeReading)
        }
    }

    private func succeed(_ request: InFlightRequest) {
        switch request.kind {
        case .read:
            guard let payload = request.payload else { preconditionFailure("a read without a buffer") }
            replies.append(count: FUSEReplyHeader.byteCount, payload: payload) {
                FUSEReplyHeader(
                    length: FUSEReplyHeader.byteCount + payload.count, errno: 0, unique: request.unique
                ).encode(into: $0)
            }
        case .write:
            reply(request.unique, FUSEWriteReply(size: UInt32(request.payload?.count ?? 0)))
        case .flush, .writeZeroes:
            acknowledge(request.unique)
        }
    }

    /// The first reply was written. ENOENT counts as written: the kernel no longer waits for it.
    package func replyWritten() {
        replies.removeFirst()
    }

    /// The filesystem was unmounted or its connection aborted: nothing more comes, nothing more is wanted.
    package func connectionLost() {
        phase = .closed
        replies = FUSEReplyQueue()
    }

    // MARK: Replies

    func reply(_ unique: UInt64, _ value: some FixedLayout) {
        let count = FUSEReplyHeader.byteCount + type(of: value).byteCount
        replies.append(count: count) {
            FUSEReplyHeader(length: count, errno: 0, unique: unique).encode(into: $0)
            value.encode(into: $0.dropped(FUSEReplyHeader.byteCount))
        }
    }

    /// Success without data.
    func acknowledge(_ unique: UInt64) {
        replies.append(count: FUSEReplyHeader.byteCount) {
            FUSEReplyHeader(length: FUSEReplyHeader.byteCount, errno: 0, unique: unique).encode(into: $0)
        }
    }

    func fail(_ header: FUSERequestHeader, _ errno: Int32) {
        fail(header.unique, errno)
    }

    func fail(_ unique: UInt64, _ errno: Int32) {
        replies.append(count: FUSEReplyHeader.byteCount) {
            FUSEReplyHeader(length: FUSEReplyHeader.byteCount, errno: errno, unique: unique).encode(into: $0)
        }
    }

    func log(_ level: LogLevel, _ text: String, into actions: inout [FUSEAction]) {
        actions.append(.log(LogRecord(level, "fuse: \(file.name): \(text)")))
    }
}

package import EngineKit
internal import NBDLayout

/// One client of the NBD server, from the greeting to the end of its connection. No I/O of its own.
///
/// ```
///              start            client flags             GO, EXPORT_NAME
///   created ----------> greeted ------------> haggling ------------------> transmission
///                          |                     |                              |
///                          |                     | ABORT                        | DISC, shutDown
///                          |                     v                              v
///                          |                  draining <------------------------+
///                          | violation, EOF      | all answered, all sent       | violation, EOF
///                          +-------------------> closed <-----------------------+
/// ```
///
/// The owner of the socket
/// * asks for ``receiveWindow()``, receives into it, calls ``received(_:now:into:)``; an empty window means: do not
///   read until ``NBDAction/resumeReading``;
/// * sends what is in ``output`` and tells it by ``sent(_:into:)``;
/// * carries out the actions and completes those that carry an id.
///
/// Invariants:
/// * between a window and its `received` no waiting byte moves and no payload buffer is replaced;
/// * bytes at the backend and in the output are bounded by ``NBDSessionLimits``;
/// * after ``NBDAction/close`` nothing is appended to the output.
///
/// Cost of a 4 KiB write: one receive, one copy of 4 KiB into an aligned buffer, no allocation beside the pooled
/// buffer's object. Payload that does not fit the first receive goes into its aligned buffer without a copy, and
/// after one such write of 32 KiB or more the next header is received alone, so that nothing of the next is copied.
///
/// Spec: NBD protocol.
package final class NBDSession {
    enum Phase: Equatable {
        case created
        case greeted
        case haggling
        case transmission
        /// No more requests; what runs is still answered.
        case draining(NBDCloseReason)
        case closed
    }

    /// A payload that is not complete yet.
    enum IncomingPayload {
        case none
        case write(NBDRequest, IOSlice, filled: Int)
        /// The payload of a write that was refused already.
        case refused(remaining: Int)
    }

    /// What a request is measured by; the numbers of the export, without its texts.
    struct Geometry {
        var sizeBytes: UInt64 = 0
        var minimumBlock: UInt64 = 1
        var maximumBlock: UInt64 = 0
        var isReadOnly = true
        var canTrim = false
        var canWriteZeroes = false
        var zeroesAreFast = false
        var reportsAllocation = false
    }

    /// Replies on their way to the client.
    package internal(set) var output = OutputQueue()
    /// The client in log lines, for example "/run/yoke/r0.nbd, client 3".
    package let peer: String

    let limits: NBDSessionLimits
    let directory: any NBDExportDirectory
    let pool: IOBufferPool

    var phase = Phase.created
    var staging = StagingBuffer()
    var incoming = IncomingPayload.none
    var inFlight = InFlightTable()
    var geometry = Geometry()

    var clientFlags: NBDClientFlags = []
    var optionCount = 0
    var usesStructuredReplies = false
    /// The export for which `base:allocation` was chosen.
    var metaContextExportName: String?
    var reportsBlockStatus = false

    /// The client writes much: receive headers alone, so that payload lands in its own buffer.
    var expectsLargeWrite = false
    /// A request waits in the staging buffer because a limit is reached.
    var isBlocked = false
    /// An empty window was given; the owner waits for `resumeReading`.
    var isPaused = false
    private var handshakeDeadline: Instant?

    static let largeWriteByteCount = 32 << 10
    static let metaContextID: UInt32 = 1

    /// A session for a fresh connection; begins with ``start(now:)``.
    package init(
        peer: String, directory: any NBDExportDirectory, pool: IOBufferPool,
        limits: NBDSessionLimits = NBDSessionLimits()
    ) {
        self.peer = peer
        self.directory = directory
        self.pool = pool
        self.limits = limits
    }

    /// Requests at the backend. The session may be let go when it is closed and this is 0.
    package var requestsInFlight: Int { inFlight.count }
    package var isClosed: Bool { phase == .closed }
    /// When ``tick(now:into:)`` is due; nil in transmission, where a client may be silent for ever.
    package var deadline: Instant? { handshakeDeadline }

    // MARK: Begin and end

    /// Greets the client.
    package func start(now: Instant) {
        precondition(phase == .created, "session started in \(phase)")
        phase = .greeted
        handshakeDeadline = now + limits.handshakeTimeout
        append(NBDGreeting.byteCount) { NBDGreeting(flags: [.fixedNewstyle, .noZeroes]).encode(into: $0) }
    }

    /// Begins with transmission: for a client that was told about the export otherwise, such as the kernel's nbd
    /// driver. Replies are simple ones.
    package func startTransmission(of export: NBDExport, into actions: inout [NBDAction]) {
        precondition(phase == .created, "session started in \(phase)")
        enterTransmission(export, into: &actions)
    }

    func enterTransmission(_ export: NBDExport, into actions: inout [NBDAction]) {
        geometry = Geometry(
            sizeBytes: export.sizeBytes, minimumBlock: UInt64(export.minimumBlock),
            maximumBlock: UInt64(export.maximumBlock), isReadOnly: export.isReadOnly,
            canTrim: export.canTrim, canWriteZeroes: export.canWriteZeroes, zeroesAreFast: export.zeroesAreFast,
            reportsAllocation: export.reportsAllocation)
        phase = .transmission
        handshakeDeadline = nil
        actions.append(.opened(exportName: export.name))
        log(.debug, "uses export \(export.name)", into: &actions)
    }

    /// The connection ended: nothing can be received or sent any more.
    package func connectionLost(into actions: inout [NBDAction]) {
        switch phase {
        case .closed: break
        case .draining(let reason): close(reason, into: &actions)
        case .created, .greeted, .haggling, .transmission: close(.connectionLost, into: &actions)
        }
    }

    /// Ends the session in order: what runs is answered, nothing new is taken.
    package func shutDown(into actions: inout [NBDAction]) {
        switch phase {
        case .closed, .draining: break
        case .created, .greeted, .haggling, .transmission: drain(.shutdown, into: &actions)
        }
    }

    /// The deadline may have passed.
    package func tick(now: Instant, into actions: inout [NBDAction]) {
        guard let handshakeDeadline, now >= handshakeDeadline else { return }
        self.handshakeDeadline = nil
        switch phase {
        case .greeted, .haggling, .draining:
            log(.warning, "no export chosen within \(limits.handshakeTimeout), connection dropped", into: &actions)
            close(.handshakeTimeout, into: &actions)
        case .created, .transmission, .closed:
            break
        }
    }

    /// Takes no more requests; closes when all is answered and sent.
    func drain(_ reason: NBDCloseReason, into actions: inout [NBDAction]) {
        phase = .draining(reason)
        staging.dropAll()
        incoming = .none
        isBlocked = false
        closeIfDrained(into: &actions)
    }

    func closeIfDrained(into actions: inout [NBDAction]) {
        guard case .draining(let reason) = phase, inFlight.count == 0, output.isEmpty else { return }
        close(reason, into: &actions)
    }

    func close(_ reason: NBDCloseReason, into actions: inout [NBDAction]) {
        phase = .closed
        handshakeDeadline = nil
        staging.dropAll()
        incoming = .none
        isBlocked = false
        output = OutputQueue()
        actions.append(.close(reason))
    }

    /// The client broke the protocol: say so and drop it.
    func violation(_ what: String, into actions: inout [NBDAction]) {
        log(.warning, "\(what), connection dropped", into: &actions)
        close(.protocolViolation, into: &actions)
    }

    func log(_ level: LogLevel, _ text: String, into actions: inout [NBDAction]) {
        actions.append(.log(LogRecord(level, "nbd: \(peer): \(text)")))
    }

    // MARK: Bytes in

    /// Where the next received bytes shall go; empty when nothing is to be received now.
    package func receiveWindow() -> UnsafeMutableRawBufferPointer {
        switch phase {
        case .created, .closed:
            return UnsafeMutableRawBufferPointer(start: nil, count: 0)
        case .greeted, .haggling, .transmission, .draining:
            break
        }
        if isBlocked {
            isPaused = true
            return UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
        if case .write(_, let slice, let filled) = incoming, staging.isEmpty {
            return UnsafeMutableRawBufferPointer(rebasing: slice.bytes[filled...])
        }
        let limit = expectsLargeWrite ? max(1, NBDRequest.byteCount - staging.count) : StagingBuffer.capacity
        return staging.window(limit: limit)
    }

    /// `count` bytes have arrived in the window that was given last.
    package func received(_ count: Int, now: Instant, into actions: inout [NBDAction]) {
        precondition(count >= 0, "received \(count) bytes")
        switch phase {
        case .created: preconditionFailure("received before the session was started")
        case .closed: return
        case .greeted, .haggling, .transmission, .draining: break
        }
        if case .write(let request, let slice, let filled) = incoming, staging.isEmpty {
            precondition(filled + count <= slice.count, "received more than the window")
            incoming = .write(request, slice, filled: filled + count)
            if filled + count == slice.count {
                expectsLargeWrite = slice.count >= Self.largeWriteByteCount
            }
        } else {
            staging.filled(count)
        }
        advance(into: &actions)
    }

    /// Understands as much of the waiting bytes as possible.
    func advance(into actions: inout [NBDAction]) {
        var moves = true
        while moves {
            switch phase {
            case .greeted: moves = takeClientFlags(into: &actions)
            case .haggling: moves = takeOption(into: &actions)
            case .transmission: moves = takeRequest(into: &actions)
            case .created, .draining, .closed:
                staging.dropAll()
                moves = false
            }
        }
    }

    // MARK: Bytes out

    /// The socket took `count` bytes of the output.
    package func sent(_ count: Int, into actions: inout [NBDAction]) {
        guard phase != .closed else { return }
        output.consume(count)
        makeProgress(into: &actions)
    }

    /// Room may have appeared: go on with waiting requests, wake the reader, or finish.
    func makeProgress(into actions: inout [NBDAction]) {
        if isBlocked {
            isBlocked = false
            advance(into: &actions)
        }
        if isPaused && !isBlocked && phase != .closed {
            isPaused = false
            actions.append(.resumeReading)
        }
        closeIfDrained(into: &actions)
    }

    /// Appends `count` zeroed bytes to the output and lets `encode` fill them.
    func append(_ count: Int, _ encode: (UnsafeMutableRawBufferPointer) -> Void) {
        output.append(count: count, encode)
    }
}

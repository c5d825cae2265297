// Signatures of the building blocks that are being written; each moves to its own file with its body.
package import EngineKit

// MARK: Resync

/// How many blocks to request in a tick of 0.1 s. Spec: drbd-disk-and-state 19.1.
package struct ResyncController {
    package init() { fatalError() }
    /// KiB/s, `want:` of /proc/drbd.
    package private(set) var reportedRate: Int
    package private(set) var inFlightSectors: Int
    /// At resync start.
    package mutating func reset(planAhead: Int) { fatalError() }
    package mutating func sectorsArrived(_ sectors: Int) { fatalError() }
    package mutating func tick(options: DiskOptions, buffersMax: Int) -> Int { fatalError() }
    package mutating func blocksRequested(_ blocks: Int) { fatalError() }
}

/// Forms resync requests from the bitmap. Spec: drbd-disk-and-state 19.2, drbd-wire 11.2.
package struct ResyncRequestFormer {
    package struct Request: Equatable, Sendable {
        package var sector: UInt64
        package var byteCount: Int
        package var blockCount: Int
    }
    /// Bit where the search goes on.
    package var position: Int
    /// The bit that the next request starts with; nil: end of the bitmap. Lock its extent, then `form`.
    package mutating func candidate(in bitmap: Bitmap) -> Int? { fatalError() }
    package mutating func form(
        from bit: Int, in bitmap: Bitmap, sectors: UInt64, byteCountMax: Int, discardGranularity: Int,
        budget: inout Int
    ) -> Request { fatalError() }
}

/// Eight pairs (time, bits left). Spec: drbd-disk-and-state 19.3.
package struct ProgressMarks {
    package init(now: Instant, leftBits: UInt64) { fatalError() }
    package mutating func advance(now: Instant, leftBits: UInt64, isPaused: Bool) { fatalError() }
    /// For the speed of /proc/drbd: the oldest mark but one.
    package func displayMark(now: Instant) -> (leftBits: UInt64, age: Duration) { fatalError() }
    /// KiB/s since the mark before the latest.
    package func recentSpeed(now: Instant, leftBits: UInt64) -> Int { fatalError() }
}

/// c-min-rate: whether resync yields to the application.
package struct ResyncThrottle {
    package init() { fatalError() }
    package mutating func shouldYield(
        rateMin: Int, otherSectors: UInt64, isWriteWaitingForLog: Bool, marks: ProgressMarks, leftBits: UInt64,
        now: Instant
    ) -> Bool { fatalError() }
}

// MARK: Establishment

/// Gets the two sockets of a connection. Spec: drbd-wire 2.3.
package struct ConnectionEstablishment {
    package enum FirstPacket: Equatable, Sendable { case initialData, initialMeta, other }
    package enum Event: Equatable, Sendable {
        case start
        case connected(SocketID)
        case connectFailed(SocketID, errno: Int32)
        case accepted(SocketID)
        case firstPacket(SocketID, FirstPacket)
        /// End of stream or error: the owner has closed it.
        case socketEnded(SocketID)
        case tick
        /// Closes everything.
        case stop
    }
    package enum Effect: Equatable, Sendable {
        case listen
        case stopListening
        case connect(SocketID)
        case send(SocketID, FirstPacket)
        case close(SocketID)
        case established(data: SocketID, meta: SocketID, resolveConflicts: Bool)
        /// An address of ours is unusable: StandAlone.
        case failed(errno: Int32)
        case log(LogRecord)
    }
    package struct Timing: Equatable, Sendable {
        package var connectInterval: Duration
        package var pingTimeout: Duration
        package var socketCheckTimeout: Duration
        package init(options: NetworkOptions) { fatalError() }
    }
    package init(timing: Timing) { fatalError() }
    package mutating func handle(
        _ event: Event, now: Instant, random: any RandomSource, nextSocketID: () -> SocketID,
        into effects: inout [Effect]
    ) { fatalError() }
    package var nextDeadline: Instant? { fatalError() }
    /// Whether this socket belongs to the attempt (also an incoming one whose first packet is awaited).
    package func owns(_ socket: SocketID) -> Bool { fatalError() }
}

// MARK: Authentication

/// Challenge and response of cram-hmac-alg. Spec: drbd-wire 5.
package struct ChallengeResponse {
    package enum Step: Equatable, Sendable { case waitsForChallenge, waitsForResponse, done }
    package enum Verdict: Equatable, Sendable {
        /// Payload to read, or nothing wrong.
        case proceed
        /// Send P_AUTH_RESPONSE with these bytes.
        case respond([UInt8])
        case authenticated
        /// Network trouble: try again.
        case retry(String)
        /// StandAlone.
        case giveUp(String)
    }
    package private(set) var step: Step
    /// The 64 bytes to send as P_AUTH_CHALLENGE at once.
    package let challenge: [UInt8]
    package init(algorithm: DigestAlgorithm, secret: [UInt8], random: any RandomSource) { fatalError() }
    /// Judges a header before its payload is read.
    package func judgeHeader(isChallenge: Bool, isResponse: Bool, length: Int) -> Verdict { fatalError() }
    package mutating func receive(_ payload: [UInt8], digests: any DigestProvider) -> Verdict { fatalError() }
}

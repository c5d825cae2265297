// Signatures of the building blocks that are being written; each moves to its own file with its body.
package import EngineKit

// MARK: Bitmap

/// The bitmap of one volume in core. Spec: drbd-disk-and-state 6.
package final class Bitmap {
    package init(sectors: UInt64) { fatalError() }
    package var bitCount: Int { fatalError() }
    package var wordCount: Int { fatalError() }
    /// 4 KiB disk blocks.
    package var blockCount: Int { fatalError() }
    package var setBitCount: Int { fatalError() }
    /// Widened to whole 4 KiB blocks. Returns how many bits changed.
    @discardableResult package func setOutOfSync(sector: UInt64, byteCount: Int) -> Int { fatalError() }
    /// Narrowed to whole 4 KiB blocks (the last partial one counts as whole).
    @discardableResult package func setInSync(sector: UInt64, byteCount: Int) -> Int { fatalError() }
    @discardableResult package func setBits(_ bits: Range<Int>) -> Int { fatalError() }
    @discardableResult package func clearBits(_ bits: Range<Int>) -> Int { fatalError() }
    package func setAll() { fatalError() }
    package func clearAll() { fatalError() }
    package func isSet(_ bit: Int) -> Bool { fatalError() }
    package func isAnySet(sector: UInt64, byteCount: Int) -> Bool { fatalError() }
    package func nextSetBit(from bit: Int) -> Int? { fatalError() }
    package func nextClearBit(from bit: Int) -> Int? { fatalError() }
    package func setBitCount(ofResyncExtent extent: UInt32) -> Int { fatalError() }
    /// ORs 64-bit little-endian words of the wire in.
    package func merge(words: UnsafeRawBufferPointer, atWord word: Int) { fatalError() }
    package func copyWords(_ words: Range<Int>, into bytes: UnsafeMutableRawBufferPointer) { fatalError() }

    // Disk blocks of 4 KiB
    /// Replaces a block by what the disk holds; padding is masked.
    package func load(block: Int, from bytes: UnsafeRawBufferPointer) { fatalError() }
    /// Copies a block out for writing; it counts as being written until `finishWrite`.
    package func beginWrite(block: Int, into bytes: UnsafeMutableRawBufferPointer) { fatalError() }
    package func finishWrite(block: Int, succeeded: Bool) { fatalError() }
    package func isChanged(block: Int) -> Bool { fatalError() }
    package func isBeingWritten(block: Int) -> Bool { fatalError() }
    package func nextChangedBlock(from block: Int) -> Int? { fatalError() }
    package func markAllChanged() { fatalError() }
    /// Blocks that hold the bits of this 4 MiB extent (always one).
    package static func block(ofActivityLogExtent extent: UInt32) -> Int { fatalError() }
    /// New size; new bits are set or clear.
    package func resize(sectors: UInt64, settingNewBits: Bool) { fatalError() }
}

/// Position in an outgoing bitmap transfer. Spec: drbd-wire 10.
package struct BitmapSender {
    package enum Packet: Equatable {
        case plain(byteCount: Int)
        case compressed(byteCount: Int)
    }
    package init(bitmap: Bitmap, useRunLengthEncoding: Bool, headerByteCount: Int = 16) { fatalError() }
    /// Writes the payload of the next packet to `bytes` (4096 - header bytes); nil: the transfer is complete.
    package mutating func next(into bytes: UnsafeMutableRawBufferPointer) -> Packet? { fatalError() }
}

/// Position in an incoming bitmap transfer; ORs into the bitmap.
package struct BitmapReceiver {
    package enum Failure: Error, Equatable { case badLength(found: Int, expected: Int), badCode(String), beyondEnd }
    package private(set) var isComplete: Bool
    package init(bitmap: Bitmap, headerByteCount: Int = 16) { fatalError() }
    package mutating func receivePlain(_ payload: UnsafeRawBufferPointer) throws(Failure) { fatalError() }
    package mutating func receiveCompressed(_ payload: UnsafeRawBufferPointer) throws(Failure) { fatalError() }
}

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

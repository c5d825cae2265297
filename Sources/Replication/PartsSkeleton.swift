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

internal import DRBDLayout
internal import EngineKit

/// A request as the application made it; answered once, when all its parts are done.
struct MasterRequest {
    let id: RequestID
    let volume: Volume
    var partsLeft: Int
    var errno: Int32 = 0
}

/// A part of an application's request: what one disk operation and one packet carry.
///
/// The life of a write:
///
///     admitted -> extents in the activity log -> no overlapping write under way -> submitted and sent
///       -> local completion and the peer's acknowledgement -> answered to the application
///       -> P_BARRIER_ACK of its epoch (or loss of the connection) -> released
///
/// Until released it holds its extents of the activity log: a crash before must mark its blocks.
struct LocalRequest {
    enum Kind: UInt8 {
        case read, write, discard, writeZeroes
    }

    struct Flags: OptionSet {
        let rawValue: UInt32

        /// The local disk works on it.
        static let localPending = Flags(rawValue: 1 << 0)
        static let localOK = Flags(rawValue: 1 << 1)
        static let localFailed = Flags(rawValue: 1 << 2)
        /// The peer owes an answer that the application waits for.
        static let peerPending = Flags(rawValue: 1 << 3)
        /// The peer has it: acknowledged, or superseded by its own write.
        static let peerOK = Flags(rawValue: 1 << 4)
        /// The peer said that it failed.
        static let peerFailed = Flags(rawValue: 1 << 5)
        /// Part of the transfer log: its epoch is not acknowledged.
        static let inTransferLog = Flags(rawValue: 1 << 6)
        static let inActivityLog = Flags(rawValue: 1 << 7)
        /// Stands among the intervals.
        static let underWay = Flags(rawValue: 1 << 8)
        /// Counted off its master.
        static let answered = Flags(rawValue: 1 << 9)
        /// The peer sent it back: to be repeated.
        static let postponed = Flags(rawValue: 1 << 10)
        static let forceUnitAccess = Flags(rawValue: 1 << 11)
        static let mayUnmap = Flags(rawValue: 1 << 12)
        /// Protocol A: counts as with the peer when the socket took it.
        static let untilTransmitted = Flags(rawValue: 1 << 13)
        /// Was given to the peer, in the epoch that it names.
        static let wasSent = Flags(rawValue: 1 << 14)
        /// The activity log of the disk that is attached let it pass.
        static let passedLog = Flags(rawValue: 1 << 15)
        /// Failed everywhere while I/O is suspended: made again when it left the transfer log.
        static let isToRepeat = Flags(rawValue: 1 << 16)
        /// The peer refused it; what state its disk is in is on its way.
        static let awaitsState = Flags(rawValue: 1 << 17)
        /// That time is over.
        static let hasAwaitedState = Flags(rawValue: 1 << 18)
    }

    let master: Int
    let volume: Volume
    let kind: Kind
    var flags: Flags
    let sector: UInt64
    let byteCount: Int
    /// Let go when nobody needs it any more.
    var data: IOSlice?
    /// Epoch that it was sent in.
    var epoch: UInt32 = 0
    /// When it was given to the peer; for the request timer.
    var sentAt = Instant.zero
    /// When it was given to the disk.
    var submittedAt = Instant.zero
    /// Neighbours in the transfer log; -1: none.
    var previous: Int = -1
    var next: Int = -1
}

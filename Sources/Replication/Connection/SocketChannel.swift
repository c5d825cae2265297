internal import DRBDLayout
internal import EngineKit

/// One socket: what came and is not looked at yet, what goes out, and the packet being received.
///
/// Bytes come into a staging buffer. The payload of a big packet goes from there into a page-aligned buffer of its own;
/// what of it has not come yet is received right into that buffer:
///
///     staging   [ ... consumed | header, fixed part | ...            ]
///                              ^ start               ^ end
///     payload   [ copied from staging | received directly  | missing ]
final class SocketChannel {
    let id: SocketID
    /// Which of the two it is; nil: not told yet (an accepted socket before its first packet).
    var role: PacketSocket?
    var output = OutputQueue()
    /// Bytes were appended since the owner was last told.
    var needsTransmit = false
    /// When the socket last took bytes, or the queue began to fill.
    var lastProgress = Instant.zero
    /// Send time-outs that are left before the peer counts as dead (ko-count).
    var sendTimeoutsLeft = 0
    /// Peer's address, for the log.
    var address = ""
    /// Being closed: what waits is still sent, what comes is not heeded.
    var isLingering = false
    /// While lingering: stays open when all is sent.
    var lingersUntilPeerCloses = false
    /// The current packet cannot be dealt with yet.
    var isStalled = false
    /// The owner was given no room to receive into.
    var isWindowClosed = false

    private let staging: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0
    /// Bytes that the next read may stage; small after big payloads, so that the next payload is not staged either.
    private var stagingLimit: Int

    /// Header of the packet under way.
    var header: PacketHeader?
    /// Destination of its data.
    var payload: IOSlice?
    private var payloadFilled = 0
    /// Bytes of staging that belong to the packet.
    private var stagedCount = 0

    static let stagingByteCount = 64 << 10
    /// Payloads from this size on keep the staging of what follows them small.
    private static let bigPayload = 32 << 10
    /// A header of version 100 and the fixed part of P_DATA.
    private static let headStagingByteCount = 40

    init(id: SocketID, role: PacketSocket?) {
        self.id = id
        self.role = role
        staging = .allocate(byteCount: Self.stagingByteCount, alignment: 16)
        stagingLimit = Self.stagingByteCount
    }

    deinit {
        staging.deallocate()
    }

    // MARK: Receiving

    /// Where the next bytes go; empty: there is no room until packets were dealt with.
    func window() -> UnsafeMutableRawBufferPointer {
        if isLingering {
            start = 0
            end = 0
            return staging
        }
        if let payload, payloadFilled < payload.count {
            return UnsafeMutableRawBufferPointer(rebasing: payload.bytes[payloadFilled...])
        }
        if end == staging.count { compact() }
        let room = min(staging.count, max(end, start + stagingLimit))
        isWindowClosed = room == end
        return UnsafeMutableRawBufferPointer(rebasing: staging[end..<room])
    }

    /// `count` bytes were written to the start of the window.
    func received(_ count: Int) {
        guard !isLingering else { return }
        if let payload, payloadFilled < payload.count {
            precondition(count <= payload.count - payloadFilled, "more bytes than the window had")
            payloadFilled += count
        } else {
            precondition(count <= staging.count - end, "more bytes than the window had")
            end += count
        }
    }

    /// Moves what is staged to the front.
    private func compact() {
        guard start > 0 else { return }
        staging.baseAddress!.copyMemory(from: staging.baseAddress! + start, byteCount: end - start)
        end -= start
        start = 0
    }

    /// Bytes that came and belong to no packet yet that was dealt with.
    var staged: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: staging[start..<end])
    }

    /// Whether the first `count` bytes of the packet are staged. If not, makes sure that they can come.
    func hasStaged(_ count: Int) -> Bool {
        if end - start >= count { return true }
        if start + count > staging.count { compact() }
        if stagingLimit < count { stagingLimit = min(staging.count, max(count, Self.headStagingByteCount)) }
        return false
    }

    /// The packet has `count` bytes in staging and no data of its own.
    func markComplete(stagedCount count: Int) {
        stagedCount = count
        stagingLimit = Self.stagingByteCount
    }

    /// Begins to fill `payload` from what is staged behind the first `headCount` bytes.
    func beginPayload(_ payload: IOSlice, headCount: Int) {
        let available = min(end - start - headCount, payload.count)
        if available > 0 {
            payload.base.copyMemory(from: staging.baseAddress! + start + headCount, byteCount: available)
        }
        self.payload = payload
        payloadFilled = max(0, available)
        stagedCount = headCount + payloadFilled
        stagingLimit = payload.count >= Self.bigPayload ? Self.headStagingByteCount : Self.stagingByteCount
    }

    var isPayloadComplete: Bool {
        guard let payload else { return true }
        return payloadFilled == payload.count
    }

    /// The packet was dealt with.
    func consumePacket() {
        start += stagedCount
        if start == end {
            start = 0
            end = 0
        }
        header = nil
        payload = nil
        payloadFilled = 0
        stagedCount = 0
        isStalled = false
    }
}

internal import EngineKit

/// The epochs of writes that the peer has not acknowledged as durable. Spec: drbd-wire 13.
///
/// The requests themselves form a list through the request table, in the order in which they were sent; each epoch is
/// a stretch of it.
struct TransferLog {
    struct Epoch {
        let number: UInt32
        /// Writes sent in it that are still in the log.
        var writeCount = 0
        /// Writes of it that the peer superseded or sent back; they left the log. Spec: drbd-wire 14.3.
        var removedCount = 0
        /// Writes in the log that the peer did not answer one by one yet (protocol C).
        var unansweredCount = 0
        /// No write joins it any more.
        var isClosed = false
        /// P_BARRIER was sent at this time.
        var barrierSentAt: Instant?
    }

    /// Oldest first. The last one is the current epoch unless it is closed.
    var epochs: RingQueue<Epoch> = RingQueue()
    /// Number of the current epoch. Counts on over reconnects.
    var currentNumber: UInt32 = 0
    /// A closed epoch waits for its P_BARRIER.
    var isBarrierDue = false
    /// First and last request of the list; -1: none.
    var head = -1
    var tail = -1
    /// Protocol A: requests that count as with the peer when the data socket took this many bytes.
    var untransmitted: RingQueue<(cookie: UInt64, position: UInt64)> = RingQueue()

    var isEmpty: Bool { head < 0 }

    /// Whether a write of the current epoch has been sent.
    var hasOpenEpoch: Bool {
        guard epochs.count > 0 else { return false }
        return !epochs[epochs.count - 1].isClosed
    }

    /// The place of an epoch in ``epochs``, if it is still there.
    func place(ofEpoch number: UInt32) -> Int? {
        guard let first = epochs.first else { return nil }
        // Numbers are consecutive in the queue but for epochs without writes, which are never in it.
        var place = min(Int(number &- first.number), epochs.count - 1)
        while place >= 0 {
            let found = epochs[place].number
            if found == number { return place }
            if Int32(bitPattern: found &- number) < 0 { return nil }
            place -= 1
        }
        return nil
    }
}

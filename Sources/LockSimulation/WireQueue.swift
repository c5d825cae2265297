internal import EngineKit

/// What is under way from one host to another: it arrives in order and whole, or some first part of it.
final class WireQueue {
    private var underWay: [(arrival: Instant, body: () -> Void)] = []
    private var lastArrival = Instant.zero
    private var heldUntil = Instant.zero

    /// Adds a message; returns when it can arrive.
    func append(_ earliest: Instant, _ body: @escaping () -> Void) -> Instant {
        lastArrival = max(earliest, lastArrival + .nanoseconds(1), heldUntil)
        underWay.append((lastArrival, body))
        return lastArrival
    }

    func hold(until instant: Instant) {
        heldUntil = max(heldUntil, instant)
    }

    /// Hands over what has arrived by now.
    func deliver(_ now: Instant) {
        while let head = underWay.first, head.arrival <= now, heldUntil <= now {
            underWay.removeFirst()
            head.body()
        }
    }

    /// The sender dies: a first part arrives, the rest never left.
    func loseTail(_ random: any RandomSource) {
        let count = Int(random.next(below: UInt64(underWay.count) + 1))
        underWay.removeLast(underWay.count - count)
    }

    func clear() {
        underWay = []
        heldUntil = .zero
    }
}

internal import EngineKit

/// Things to be done later, ordered by (deadline, order of arming), so that equal deadlines run in one known order.
///
/// For rare timers. What is armed is not taken back: the body looks whether it is still wanted. Timers that are moved
/// with every packet are plain deadlines of their owners.
struct TimerHeap {
    typealias Body = (ReplicationEngine) -> Void

    private struct Entry {
        let deadline: Instant
        let order: UInt64
        let body: Body

        func isBefore(_ other: Entry) -> Bool {
            deadline == other.deadline ? order < other.order : deadline < other.deadline
        }
    }

    private var entries: [Entry] = []
    private var lastOrder: UInt64 = 0

    var nextDeadline: Instant? { entries.first?.deadline }

    mutating func arm(at deadline: Instant, _ body: @escaping Body) {
        lastOrder += 1
        entries.append(Entry(deadline: deadline, order: lastOrder, body: body))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].isBefore(entries[parent]) else { break }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// The next body that is due at `now`.
    mutating func popDue(_ now: Instant) -> Body? {
        guard let first = entries.first, first.deadline <= now else { return nil }
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
                if entries[child].isBefore(entries[least]) { least = child }
            }
            guard least != parent else { return first.body }
            entries.swapAt(parent, least)
            parent = least
        }
    }
}

package import EngineKit

/// A timer of a ``Reactor``; runs its action once.
package final class ReactorTimer {
    package let deadline: Instant
    fileprivate let sequence: UInt64
    /// Nil when it ran or was cancelled.
    fileprivate var action: (() -> Void)?
    /// Where it is in the heap; nil outside.
    fileprivate var position: Int?

    fileprivate init(deadline: Instant, sequence: UInt64, action: @escaping () -> Void) {
        self.deadline = deadline
        self.sequence = sequence
        self.action = action
    }

    fileprivate func isBefore(_ other: ReactorTimer) -> Bool {
        deadline != other.deadline ? deadline < other.deadline : sequence < other.sequence
    }
}

/// Timers ordered by (deadline, order of creation), so that equal deadlines run in one known order.
struct TimerHeap {
    private var timers: [ReactorTimer] = []

    /// The earliest deadline.
    var nextDeadline: Instant? { timers.first?.deadline }

    mutating func add(deadline: Instant, action: @escaping () -> Void) -> ReactorTimer {
        sequence += 1
        let timer = ReactorTimer(deadline: deadline, sequence: sequence, action: action)
        timer.position = timers.count
        timers.append(timer)
        moveUp(timers.count - 1)
        return timer
    }

    /// Takes a timer out; nothing happens when it ran already.
    mutating func cancel(_ timer: ReactorTimer) {
        timer.action = nil
        guard let position = timer.position else { return }
        precondition(position < timers.count && timers[position] === timer, "timer of another reactor")
        remove(at: position)
    }

    /// Number of the timer that was added last.
    private(set) var sequence: UInt64 = 0

    /// The action of the first timer, if its deadline is not after `now` and it was not added after number `last`.
    /// A timer that an action adds for the past so waits for the next round, and cannot keep this one from ending.
    mutating func takeDue(now: Instant, last: UInt64) -> (() -> Void)? {
        guard let first = timers.first, first.deadline <= now, first.sequence <= last else { return nil }
        remove(at: 0)
        defer { first.action = nil }
        return first.action
    }

    mutating func removeAll() {
        for timer in timers {
            timer.position = nil
            timer.action = nil
        }
        timers.removeAll()
    }

    private mutating func remove(at position: Int) {
        timers[position].position = nil
        let last = timers.removeLast()
        guard position < timers.count else { return }
        timers[position] = last
        last.position = position
        moveUp(position)
        moveDown(last.position ?? position)
    }

    private mutating func moveUp(_ start: Int) {
        var position = start
        while position > 0 {
            let parent = (position - 1) / 2
            guard timers[position].isBefore(timers[parent]) else { return }
            exchange(position, parent)
            position = parent
        }
    }

    private mutating func moveDown(_ start: Int) {
        var position = start
        while true {
            var smallest = position
            for child in [2 * position + 1, 2 * position + 2]
            where child < timers.count && timers[child].isBefore(timers[smallest]) {
                smallest = child
            }
            if smallest == position { return }
            exchange(position, smallest)
            position = smallest
        }
    }

    private mutating func exchange(_ left: Int, _ right: Int) {
        timers.swapAt(left, right)
        timers[left].position = left
        timers[right].position = right
    }
}

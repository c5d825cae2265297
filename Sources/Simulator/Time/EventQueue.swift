/// Events in the order in which they happen: by time, and at the same time in the order in which they were added.
///
/// The second rule makes a history the same in every run: no two events ever compare equal.
package struct EventQueue<Event> {
    private struct Entry {
        var time: UInt64
        var number: UInt64
        var event: Event

        func precedes(_ other: Entry) -> Bool {
            time != other.time ? time < other.time : number < other.number
        }
    }

    private var heap: [Entry] = []
    private var nextNumber: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { heap.isEmpty }
    package var count: Int { heap.count }
    /// Time of the next event in nanoseconds.
    package var nextTime: UInt64? { heap.first?.time }

    /// Adds an event that happens at `time` (nanoseconds).
    package mutating func add(_ event: Event, at time: UInt64) {
        heap.append(Entry(time: time, number: nextNumber, event: event))
        nextNumber += 1
        siftUp(heap.count - 1)
    }

    /// Takes the next event.
    package mutating func popNext() -> (time: UInt64, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            siftDown(0)
        }
        return (first.time, first.event)
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var smallest = parent
            let left = 2 * parent + 1
            if left < heap.count, heap[left].precedes(heap[smallest]) { smallest = left }
            if left + 1 < heap.count, heap[left + 1].precedes(heap[smallest]) { smallest = left + 1 }
            guard smallest != parent else { return }
            heap.swapAt(parent, smallest)
            parent = smallest
        }
    }
}

internal import EngineKit

/// Calls to come, the earliest first, those of one instant in the order of their insertion.
///
/// The heap moves small plain entries; the closures stay where they were put.
struct TimerHeap {
    private struct Entry {
        let at: Instant
        let sequence: UInt64
        let place: Int

        static func < (left: Entry, right: Entry) -> Bool {
            left.at == right.at ? left.sequence < right.sequence : left.at < right.at
        }
    }

    private var entries: [Entry] = []
    private var bodies: [(() -> Void)?] = []
    private var freePlaces: [Int] = []
    private var lastSequence: UInt64 = 0

    /// The instant of the earliest call.
    var first: Instant? { entries.first?.at }

    mutating func insert(_ at: Instant, _ body: @escaping () -> Void) {
        lastSequence += 1
        let place: Int
        if let free = freePlaces.popLast() {
            place = free
            bodies[place] = body
        } else {
            place = bodies.count
            bodies.append(body)
        }
        let entry = Entry(at: at, sequence: lastSequence, place: place)
        var hole = entries.count
        entries.append(entry)
        while hole > 0 {
            let parent = (hole - 1) / 2
            guard entry < entries[parent] else { break }
            entries[hole] = entries[parent]
            hole = parent
        }
        entries[hole] = entry
    }

    /// Takes the earliest call out. There is one.
    mutating func removeFirst() -> () -> Void {
        let place = entries[0].place
        guard let body = bodies[place], let last = entries.popLast() else {
            preconditionFailure("a timer without a body")
        }
        bodies[place] = nil
        freePlaces.append(place)
        guard !entries.isEmpty else { return body }
        var hole = 0
        while true {
            var child = 2 * hole + 1
            guard child < entries.count else { break }
            if child + 1 < entries.count, entries[child + 1] < entries[child] { child += 1 }
            guard entries[child] < last else { break }
            entries[hole] = entries[child]
            hole = child
        }
        entries[hole] = last
        return body
    }
}

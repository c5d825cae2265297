package import EngineKit
package import FUSELayout

/// A request that has not been answered yet, for status and log.
package struct RequestUnderWay: Equatable, Sendable {
    package var opcode: FUSEOpcode?
    package var node: UInt64
    package var process: UInt32
    package var since: Instant
}

/// The requests of one mount that operations work on. Grows to what is under way at once, then allocates nothing.
struct RequestsUnderWay {
    private var slots: [RequestUnderWay?] = []
    private var free: [Int] = []
    private(set) var count = 0
    /// Memory that they hold.
    private(set) var byteCount = 0

    mutating func begin(_ header: FUSERequestHeader, byteCount: Int, now: Instant) -> Int {
        count += 1
        self.byteCount += byteCount
        let request = RequestUnderWay(
            opcode: FUSEOpcode(rawValue: header.rawOpcode), node: header.node, process: header.process, since: now)
        if let slot = free.popLast() {
            slots[slot] = request
            return slot
        }
        slots.append(request)
        return slots.count - 1
    }

    mutating func end(_ slot: Int, byteCount: Int) {
        precondition(slots[slot] != nil, "a request ends twice")
        slots[slot] = nil
        free.append(slot)
        count -= 1
        self.byteCount -= byteCount
    }

    /// Those that began before `instant`, the oldest first.
    func older(than instant: Instant) -> [RequestUnderWay] {
        slots.compactMap { $0 }.filter { $0.since < instant }.sorted { $0.since < $1.since }
    }
}

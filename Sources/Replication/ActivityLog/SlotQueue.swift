/// Slots in the order of their last use; every operation takes constant time. A slot is in the queue at most once.
struct SlotQueue {
    private static let none: Int32 = -1
    private static let outside: Int32 = -2

    /// For each slot its neighbours; `outside` in `older` marks a slot that is not in the queue.
    private var older: [Int32]
    private var newer: [Int32]
    private var oldest = none
    private var newest = none
    private(set) var count = 0

    init(slotCount: Int) {
        older = Array(repeating: Self.outside, count: slotCount)
        newer = Array(repeating: Self.none, count: slotCount)
    }

    func contains(_ slot: Int) -> Bool { older[slot] != Self.outside }

    /// The slot that was not used for the longest time and that `isAllowed` lets pass.
    func leastRecentlyUsed(where isAllowed: (Int) -> Bool) -> Int? {
        var slot = oldest
        while slot != Self.none {
            if isAllowed(Int(slot)) { return Int(slot) }
            slot = newer[Int(slot)]
        }
        return nil
    }

    /// Appends a slot as the one used last.
    mutating func append(_ slot: Int) {
        precondition(!contains(slot), "slot \(slot) is queued twice")
        older[slot] = newest
        newer[slot] = Self.none
        if newest != Self.none { newer[Int(newest)] = Int32(slot) }
        newest = Int32(slot)
        if oldest == Self.none { oldest = Int32(slot) }
        count += 1
    }

    mutating func remove(_ slot: Int) {
        precondition(contains(slot), "slot \(slot) is not queued")
        let (before, after) = (older[slot], newer[slot])
        if before == Self.none { oldest = after } else { newer[Int(before)] = after }
        if after == Self.none { newest = before } else { older[Int(after)] = before }
        older[slot] = Self.outside
        count -= 1
    }
}

/// Rows that are found again by a number which is never used twice in a row: index and generation.
///
/// The number goes out as the cookie of a packet or of a disk operation and comes back from a peer or a disk; a stale
/// one finds nothing. Rows keep their place in memory, so using one costs no allocation once the table has grown.
struct SlotTable<Row> {
    private struct Slot {
        var generation: UInt32
        var row: Row?
    }

    private var slots: ContiguousArray<Slot> = []
    private var freeIndexes: ContiguousArray<UInt32> = []

    /// Rows in use.
    private(set) var count = 0

    /// Bits of the generation that fit beside an index in a cookie of 56 bits.
    private static var generationMask: UInt32 { 0xff_ffff }

    /// Puts `row` into a free slot and returns its index.
    mutating func insert(_ row: Row) -> Int {
        count += 1
        if let index = freeIndexes.popLast() {
            slots[Int(index)].row = row
            return Int(index)
        }
        slots.append(Slot(generation: 1, row: row))
        return slots.count - 1
    }

    /// Empties a slot; its cookie is invalid from now on.
    mutating func remove(_ index: Int) {
        precondition(slots[index].row != nil, "slot \(index) is free already")
        slots[index].row = nil
        slots[index].generation = (slots[index].generation &+ 1) & Self.generationMask
        freeIndexes.append(UInt32(index))
        count -= 1
    }

    /// The number under which the row can be found again: generation and index, 56 bits.
    func cookie(of index: Int) -> UInt64 {
        UInt64(slots[index].generation) << 32 | UInt64(index)
    }

    /// The index that `cookie` stands for; nil when it is unknown or stale.
    func index(of cookie: UInt64) -> Int? {
        let index = Int(cookie & 0xffff_ffff)
        guard index < slots.count, slots[index].row != nil, UInt64(slots[index].generation) == cookie >> 32 else {
            return nil
        }
        return index
    }

    /// Indexes in use, ascending. For the rare walks over everything.
    var indexes: [Int] {
        slots.indices.filter { slots[$0].row != nil }
    }

    /// The row at `index`, which is in use.
    subscript(index: Int) -> Row {
        get {
            guard let row = slots[index].row else { preconditionFailure("slot \(index) is free") }
            return row
        }
        _modify {
            precondition(slots[index].row != nil, "slot \(index) is free")
            yield &slots[index].row!
        }
    }
}

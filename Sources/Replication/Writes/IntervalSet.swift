/// The writes under way on a volume, of applications and of the peer: who overlaps whom. Spec: drbd-wire 14.2.
///
/// A few dozen entries as a rule, a few thousand at most, in one array without order: a search is a walk over
/// neighbouring memory, insertion and removal move one entry.
struct IntervalSet {
    enum Owner: UInt8 {
        /// A request of an application.
        case local
        /// A write of the peer.
        case peer
        /// A reply of the resync on its way to the disk.
        case resync
    }

    struct Entry {
        let first: UInt64
        /// The sector behind the last one.
        let end: UInt64
        let owner: Owner
        /// Index of its table.
        let index: Int
    }

    private var entries: ContiguousArray<Entry> = []

    var isEmpty: Bool { entries.isEmpty }
    var count: Int { entries.count }

    mutating func insert(_ owner: Owner, index: Int, sector: UInt64, byteCount: Int) {
        entries.append(Entry(first: sector, end: sector + UInt64(byteCount / 512), owner: owner, index: index))
    }

    mutating func remove(_ owner: Owner, index: Int) {
        guard let place = entries.firstIndex(where: { $0.index == index && $0.owner == owner }) else {
            preconditionFailure("\(owner) request \(index) is not under way")
        }
        entries.swapAt(place, entries.count - 1)
        entries.removeLast()
    }

    /// Whether anything under way touches the range.
    func overlaps(sector: UInt64, byteCount: Int) -> Bool {
        let end = sector + UInt64(byteCount / 512)
        for entry in entries where entry.first < end && sector < entry.end { return true }
        return false
    }

    /// An entry of `owner` that touches the range.
    func overlapping(_ owner: Owner, sector: UInt64, byteCount: Int) -> Entry? {
        let end = sector + UInt64(byteCount / 512)
        for entry in entries where entry.first < end && sector < entry.end && entry.owner == owner { return entry }
        return nil
    }

    /// The applications' entries that touch the range and for which `condition` holds, by their index.
    func locals(sector: UInt64, byteCount: Int, where condition: (Int) -> Bool) -> [Entry] {
        let end = sector + UInt64(byteCount / 512)
        return entries.filter {
            $0.first < end && sector < $0.end && $0.owner == .local && condition($0.index)
        }
    }
}

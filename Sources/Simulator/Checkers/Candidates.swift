/// Numbers of the writes that one sector may hold the data of. Nearly always one.
struct Candidates: Equatable {
    private(set) var first: UInt32
    /// Nil while there is only one.
    private var others: [UInt32]?

    init(_ write: UInt32) {
        first = write
    }

    var count: Int { 1 + (others?.count ?? 0) }

    func contains(_ write: UInt32) -> Bool {
        first == write || (others?.contains(write) ?? false)
    }

    mutating func insert(_ write: UInt32) {
        guard !contains(write) else { return }
        if others == nil { others = [write] } else { others?.append(write) }
    }

    /// In the order in which they came.
    var all: [UInt32] { [first] + (others ?? []) }

    /// Keeps those for which `isKept` holds; nil if none would be left.
    func filtered(_ isKept: (UInt32) -> Bool) -> Candidates? {
        guard let others else { return isKept(first) ? self : nil }
        let kept = ([first] + others).filter(isKept)
        guard let head = kept.first else { return nil }
        var result = Candidates(head)
        if kept.count > 1 { result.others = Array(kept.dropFirst()) }
        return result
    }
}

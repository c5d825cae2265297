/// Requests that a signal may end while they wait, and signals that came before their request. Spec: fuse 7.
struct InterruptTable {
    /// Signals remembered for requests that were not seen yet.
    private static let earlyMax = 32

    /// Node that a waiting request is about, by the request's unique.
    private var waiting: [UInt64: UInt64] = [:]
    private var early: [UInt64] = []

    /// A request begins to wait. False: its signal has come already, do not wait.
    mutating func beginWait(_ unique: UInt64, node: UInt64) -> Bool {
        guard !takeEarly(unique) else { return false }
        waiting[unique] = node
        return true
    }

    /// Whether the request's signal has come before it could be told of it.
    mutating func takeEarly(_ unique: UInt64) -> Bool {
        guard let index = early.firstIndex(of: unique) else { return false }
        early.remove(at: index)
        return true
    }

    mutating func endWait(_ unique: UInt64) {
        waiting[unique] = nil
    }

    /// The node that the interrupted request waits for; nil when it is not known, or does not wait.
    mutating func interrupted(_ unique: UInt64) -> UInt64? {
        if let node = waiting[unique] { return node }
        remember(unique)
        return nil
    }

    mutating func remember(_ unique: UInt64) {
        if early.count == Self.earlyMax { early.removeFirst() }
        early.append(unique)
    }
}

/// The flock(2) locks of one mount, on this host alone.
///
/// A lock belongs to an open file (the protocol's lock owner). Changing its type gives the old one up first, as the
/// manual page of flock(2) says. Who waits is served in the order of arrival as far as the types allow.
struct FlockTable {
    enum Kind: Equatable {
        case shared, exclusive
    }

    /// How a request for a lock ends.
    enum Outcome: Equatable {
        case granted, wouldBlock, interrupted
    }

    private struct Waiter {
        var unique: UInt64
        var owner: UInt64
        var kind: Kind
        var continuation: UnsafeContinuation<Outcome, Never>
    }

    private struct File {
        var holders: [(owner: UInt64, kind: Kind)] = []
        var waiters: [Waiter] = []

        func admits(_ kind: Kind) -> Bool {
            switch kind {
            case .shared: holders.allSatisfy { $0.kind == .shared }
            case .exclusive: holders.isEmpty
            }
        }
    }

    private var files: [UInt64: File] = [:]

    /// Takes a lock if that can be had at once.
    mutating func tryLock(_ node: UInt64, owner: UInt64, _ kind: Kind) -> Bool {
        unlock(node, owner: owner)
        var file = files[node] ?? File()
        guard file.admits(kind) else { return false }
        file.holders.append((owner, kind))
        files[node] = file
        return true
    }

    /// Waits for a lock that ``tryLock(_:owner:_:)`` refused.
    mutating func enqueue(
        _ node: UInt64, owner: UInt64, _ kind: Kind, unique: UInt64,
        _ continuation: UnsafeContinuation<Outcome, Never>
    ) {
        files[node, default: File()].waiters.append(
            Waiter(unique: unique, owner: owner, kind: kind, continuation: continuation))
        admitWaiters(node)
    }

    /// Gives up what `owner` holds; nothing happens if that is nothing.
    mutating func unlock(_ node: UInt64, owner: UInt64) {
        guard files[node]?.holders.contains(where: { $0.owner == owner }) == true else { return }
        files[node]?.holders.removeAll { $0.owner == owner }
        admitWaiters(node)
    }

    /// The process behind a waiting request got a signal. False: no such request waits.
    mutating func interrupt(_ node: UInt64, unique: UInt64) -> Bool {
        guard let index = files[node]?.waiters.firstIndex(where: { $0.unique == unique }),
            let waiter = files[node]?.waiters.remove(at: index)
        else { return false }
        waiter.continuation.resume(returning: .interrupted)
        admitWaiters(node)
        return true
    }

    /// The mount has ended.
    mutating func interruptAll() {
        for node in files.keys.sorted() {
            for waiter in files[node]?.waiters ?? [] { waiter.continuation.resume(returning: .interrupted) }
        }
        files = [:]
    }

    private mutating func admitWaiters(_ node: UInt64) {
        guard var file = files[node] else { return }
        while let first = file.waiters.first, file.admits(first.kind) {
            file.waiters.removeFirst()
            file.holders.append((first.owner, first.kind))
            first.continuation.resume(returning: .granted)
        }
        files[node] = file.holders.isEmpty && file.waiters.isEmpty ? nil : file
    }
}

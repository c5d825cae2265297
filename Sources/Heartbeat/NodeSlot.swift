internal import O2Layout

/// What this node has seen of one node in one region. Spec: o2cb 7.1, 7.4.
struct NodeSlot {
    enum Change {
        case none, up, down
    }

    /// Changes that make a silent node live.
    private static let liveThreshold = 2

    private(set) var isLive = false
    private(set) var sequence: UInt64 = 0
    private(set) var generation: UInt64 = 0
    private var changed = 0
    private var equal = 0

    /// The state of the disk when the region is started; whatever it is, it makes nobody live.
    init(baseline block: HeartbeatBlock) {
        sequence = block.sequence
        generation = block.generation
    }

    /// Takes a block that was read; nil: its checksum is wrong.
    mutating func see(_ block: HeartbeatBlock?, deadThreshold: Int) -> Change {
        var hasNewGeneration = false
        if let block {
            if block.sequence != sequence { changed += 1 } else { equal += 1 }
            sequence = block.sequence
            if block.generation != generation {
                hasNewGeneration = true
                equal = 0
                generation = block.generation
            }
        } else {
            guard isLive else { return .none }
            equal += 1
        }
        guard isLive else { return rise() }
        if equal >= deadThreshold || hasNewGeneration {
            isLive = false
            if !hasNewGeneration { changed = 0 }
            return .down
        }
        if changed != 0 {
            changed = 0
            equal = 0
        }
        return .none
    }

    private mutating func rise() -> Change {
        guard changed >= Self.liveThreshold else { return .none }
        isLive = true
        equal = 0
        return .up
    }

    /// The region is stopped: nobody lives in it any more.
    mutating func forget() -> Bool {
        defer { isLive = false }
        return isLive
    }
}

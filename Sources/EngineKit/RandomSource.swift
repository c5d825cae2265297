/// Randomness for an engine: the system's in the daemon, a seeded stream in the simulator.
package protocol RandomSource: AnyObject {
    /// The next 64 random bits.
    func next() -> UInt64
}

/// SplitMix64: a seed makes the whole stream. For simulations and tests only; it is predictable.
package final class SeededRandom: RandomSource {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    package func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

extension RandomSource {
    /// A number below `bound` (which is above 0), without noticeable bias for small bounds.
    package func next(below bound: UInt64) -> UInt64 {
        precondition(bound > 0, "no number is below 0")
        return next().multipliedFullWidth(by: bound).high
    }
}

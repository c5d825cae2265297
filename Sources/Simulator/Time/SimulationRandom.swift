/// A stream of random choices that a seed makes (SplitMix64).
///
/// Each part of a world has a stream of its own, derived from the seed of the history, so that one more choice in one
/// part does not change the choices of the others.
package struct SimulationRandom {
    private var state: UInt64

    /// The stream number `stream` of the history `seed`.
    package init(seed: UInt64, stream: UInt64) {
        state = seed &* 0xd134_2543_de82_ef95 &+ stream &* 0x9e37_79b9_7f4a_7c15 &+ 0x2545_f491_4f6c_dd1d
        _ = next()
        _ = next()
    }

    /// The next 64 random bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound` - 1.
    package mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0, "no number is below \(bound)")
        return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// A number of the range, both ends included.
    package mutating func between(_ low: Int, _ high: Int) -> Int {
        low + below(high - low + 1)
    }

    /// A number of the range, small ones much more often: uniform in its logarithm.
    package mutating func skewed(_ low: Int, _ high: Int) -> Int {
        precondition(low > 0 && low <= high, "bad range \(low)...\(high)")
        let doublings = Int.bitWidth - 1 - (high / low).leadingZeroBitCount
        let base = low << between(0, doublings)
        return min(high, between(base, 2 * base - 1))
    }

    /// True `numerator` times of `denominator`.
    package mutating func chance(_ numerator: Int, in denominator: Int) -> Bool {
        below(denominator) < numerator
    }

    /// One of the elements.
    package mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[below(elements.count)]
    }
}

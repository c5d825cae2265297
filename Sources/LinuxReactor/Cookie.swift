/// What the kernel gives back with a completion or an event.
///
/// | bits | meaning |
/// |---|---|
/// | 0...27 | index in the table of its kind |
/// | 28...31 | kind |
/// | 32...63 | generation of the table's slot |
struct Cookie: Equatable, Sendable {
    enum Kind: UInt64 {
        case disk
        /// Edges of input.
        case input
        /// Room to write, once. Same slot as the input of its source.
        case output
        case ignored
    }

    static let indexMax = (1 << 28) - 1
    let bits: UInt64

    init(bits: UInt64) {
        self.bits = bits
    }

    init(kind: Kind, index: Int, generation: UInt32) {
        precondition(index <= Self.indexMax, "slot \(index) does not fit a cookie")
        bits = UInt64(index) | kind.rawValue << 28 | UInt64(generation) << 32
    }

    /// For a request whose completion says nothing of interest.
    static let ignored = Cookie(kind: .ignored, index: 0, generation: 0)

    /// The other direction of a source.
    var output: Cookie { Cookie(kind: .output, index: index, generation: generation) }

    var index: Int { Int(bits & UInt64(Self.indexMax)) }
    var generation: UInt32 { UInt32(bits >> 32) }
    var kind: Kind? { Kind(rawValue: (bits >> 28) & 15) }
}

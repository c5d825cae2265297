import DRBDLayout
import LayoutKit
import Testing

/// Bytes from hexadecimal digits, as the captures of the chapters print them; anything else is skipped.
func hex(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    precondition(digits.count % 2 == 0, "odd number of digits")
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func zeroes(_ count: Int) -> [UInt8] {
    [UInt8](repeating: 0, count: count)
}

extension FixedLayout {
    /// Decodes from exactly these bytes.
    static func decode(_ bytes: [UInt8]) throws -> Self {
        try bytes.withUnsafeBytes { (buffer) throws(LayoutError) in try Self(decoding: buffer) }
    }

    /// The encoded bytes, written over ones so that every byte must be written.
    var encoded: [UInt8] {
        encodedBytes(count: Self.byteCount) { encode(into: $0) }
    }
}

/// `count` bytes that `write` fills in, ones before.
func encodedBytes(count: Int, _ write: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xff, count: count)
    bytes.withUnsafeMutableBytes { write($0) }
    return bytes
}

/// Golden bytes decode to `value`, `value` encodes to the bytes, one byte less is refused.
func expectGolden<Layout: FixedLayout & Equatable>(
    _ bytes: [UInt8], is value: Layout, sourceLocation: SourceLocation = #_sourceLocation
) throws {
    #expect(bytes.count == Layout.byteCount, sourceLocation: sourceLocation)
    #expect(try Layout.decode(bytes) == value, sourceLocation: sourceLocation)
    #expect(value.encoded == bytes, sourceLocation: sourceLocation)
    #expect(
        throws: LayoutError.truncated(need: Layout.byteCount, have: Layout.byteCount - 1),
        sourceLocation: sourceLocation
    ) {
        try Layout.decode(Array(bytes.dropLast()))
    }
}

/// A seed makes the whole stream (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

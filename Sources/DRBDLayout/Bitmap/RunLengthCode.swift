/// The variable-length code for runs of equal bits. Spec: drbd-wire 10.3.
///
///     level  prefix (first bit left)  data bits  run lengths
///     1      0                        1          1 ... 2
///     2      10                       1          3 ... 4
///     3      110                      2          5 ... 8
///     4      1110                     3          9 ... 16
///     5      11110                    5          17 ... 48
///     6      111110                   8          49 ... 304
///     7      11111100                 13         305 ... 8496
///     8      11111110                 21         8497 ... 2105648
///     9      11111101                 34         2105649 ... 17181974832
///     10     11111111                 56         17181974833 ...
///
/// Every field goes least significant bit first into a stream that fills each byte from its low end.
package enum RunLengthCode {
    /// One row of the table. `prefix` is the number that the prefix bits form, the first transmitted one lowest.
    struct Level {
        let prefix: UInt64
        let prefixBits: Int
        let dataBits: Int
        let base: UInt64

        var totalBits: Int { prefixBits + dataBits }
        var last: UInt64 { base + (1 << dataBits) - 1 }
    }

    static let levels: [Level] = [
        Level(prefix: 0x00, prefixBits: 1, dataBits: 1, base: 1),
        Level(prefix: 0x01, prefixBits: 2, dataBits: 1, base: 3),
        Level(prefix: 0x03, prefixBits: 3, dataBits: 2, base: 5),
        Level(prefix: 0x07, prefixBits: 4, dataBits: 3, base: 9),
        Level(prefix: 0x0f, prefixBits: 5, dataBits: 5, base: 17),
        Level(prefix: 0x1f, prefixBits: 6, dataBits: 8, base: 49),
        Level(prefix: 0x3f, prefixBits: 8, dataBits: 13, base: 305),
        Level(prefix: 0x7f, prefixBits: 8, dataBits: 21, base: 8497),
        Level(prefix: 0xbf, prefixBits: 8, dataBits: 34, base: 2_105_649),
        Level(prefix: 0xff, prefixBits: 8, dataBits: 56, base: 17_181_974_833),
    ]

    /// A code word, the first bit to transmit lowest.
    package struct Word: Equatable, Sendable {
        package let bits: UInt64
        package let bitCount: Int
    }

    /// The longest run that has a code word.
    package static let runLengthMax = levels[9].last

    /// The word for a run of `length` bits, 1 to ``runLengthMax``.
    package static func word(for length: UInt64) -> Word {
        precondition(length > 0 && length <= runLengthMax, "no code for a run of \(length) bits")
        for level in levels where length <= level.last {
            return Word(bits: (length - level.base) << level.prefixBits | level.prefix, bitCount: level.totalBits)
        }
        preconditionFailure("the last level ends at the longest run")
    }

    /// The run that the next bits of a stream stand for. `lookAhead` holds them from its lowest bit on; only
    /// `validBits` of them belong to the stream. Nil when the stream ends within the word.
    package static func decode(_ lookAhead: UInt64, validBits: Int) -> (length: UInt64, bitCount: Int)? {
        for level in levels {
            let prefixMask: UInt64 = (1 << level.prefixBits) - 1
            guard lookAhead & prefixMask == level.prefix else { continue }
            guard level.totalBits <= validBits else { return nil }
            let data = (lookAhead >> level.prefixBits) & ((1 << level.dataBits) - 1)
            return (level.base + data, level.totalBits)
        }
        return nil
    }
}

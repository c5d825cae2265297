/// The unit that a number of an option counts in. Spec: drbd-config-and-tools 5.
package enum OptionUnit: Equatable, Sendable {
    /// A plain count; also what the wire calls pages.
    case count
    case bytes
    case sectors
    case kibibytes
    case deciseconds
    case seconds

    /// The letter that stands for the unit behind a number; empty for one byte, count or time.
    package var letter: String {
        switch self {
        case .sectors: "s"
        case .kibibytes: "k"
        case .count, .bytes, .deciseconds, .seconds: ""
        }
    }

    /// Bytes of one unit, for a number that was written with a unit of its own.
    var byteCount: UInt64 {
        switch self {
        case .sectors: 512
        case .kibibytes: 1024
        case .count, .bytes, .deciseconds, .seconds: 1
        }
    }
}

/// A number with an optional unit, as options are written. Spec: drbd-config-and-tools 5.
package enum Quantity {
    /// The number of `unit` that `text` stands for; nil if it is no number.
    ///
    /// Without a letter the number counts in `unit`. With `K k M m G g` (powers of 1024) or `s` (512) it is a number of
    /// bytes, converted rounding up. Too large numbers give the largest one, so that every range check refuses them.
    package static func parse(_ text: String, in unit: OptionUnit) -> Int64? {
        var bytes = Array(text.utf8)[...]
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative { bytes = bytes.dropFirst() }
        guard let last = bytes.last else { return nil }
        let factor: UInt64?
        switch last {
        case UInt8(ascii: "K"), UInt8(ascii: "k"): factor = 1 << 10
        case UInt8(ascii: "M"), UInt8(ascii: "m"): factor = 1 << 20
        case UInt8(ascii: "G"), UInt8(ascii: "g"): factor = 1 << 30
        case UInt8(ascii: "s"): factor = 512
        default: factor = nil
        }
        let digits = factor == nil ? bytes : bytes.dropLast()
        guard !digits.isEmpty, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        var number: UInt64 = 0
        for digit in digits {
            number = saturating(number, times: 10, plus: UInt64(digit - UInt8(ascii: "0")))
        }
        if let factor {
            let byteCount = saturating(number, times: factor, plus: 0)
            number = byteCount / unit.byteCount + (byteCount % unit.byteCount == 0 ? 0 : 1)
        }
        let magnitude = Int64(clamping: number)
        return isNegative ? -magnitude : magnitude
    }

    private static func saturating(_ number: UInt64, times factor: UInt64, plus summand: UInt64) -> UInt64 {
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        let (sum, carry) = product.addingReportingOverflow(summand)
        return overflow || carry ? .max : sum
    }
}

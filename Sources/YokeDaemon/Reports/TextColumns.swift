/// Padding and number forms of the classic outputs.
package enum TextColumns {
    package static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    package static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    package static func zeroes(_ number: UInt64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// `1,234`, up to three groups; the first one takes what is above.
    package static func grouped(_ number: UInt64) -> String {
        if number < 1000 { return "\(number)" }
        if number < 1_000_000 { return "\(number / 1000),\(zeroes(number % 1000, 3))" }
        return "\(number / 1_000_000),\(zeroes(number / 1000 % 1000, 3)),\(zeroes(number % 1000, 3))"
    }

    /// `hundredths` with two decimals.
    package static func hundredths(_ hundredths: UInt64) -> String {
        "\(hundredths / 100).\(zeroes(hundredths % 100, 2))"
    }

    /// Sixteen upper-case hexadecimal digits.
    package static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16, uppercase: true)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

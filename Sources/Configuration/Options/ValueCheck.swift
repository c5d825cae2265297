/// What is wrong with the value of an option.
package enum ValueError: Error, Equatable, Sendable {
    case notANumber
    /// The number in the option's unit, and what is allowed.
    case outOfRange(value: Int64, range: ClosedRange<Int64>, unit: OptionUnit)
    case notOneOf([String])
    case notYesOrNo
    case tooLong(byteCountMax: Int)
}

extension OptionDescriptor {
    /// The value in the form that is stored, if it is good.
    ///
    /// Deviation: the classic program checks enumerations only in drbdsetup, and many ranges nowhere (Spec:
    /// drbd-config-and-tools 4.15); here all are checked where they are read.
    package func checked(_ value: String) throws(ValueError) -> String {
        switch kind {
        case .flag:
            guard value == "yes" || value == "no" else { throw .notYesOrNo }
        case .number(let unit, let range, _):
            guard let number = Quantity.parse(value, in: unit) else { throw .notANumber }
            guard range.contains(number) else { throw .outOfRange(value: number, range: range, unit: unit) }
        case .enumeration(let words, _):
            guard words.contains(value) else { throw .notOneOf(words) }
        case .wireProtocol:
            let letter = value.uppercased()
            guard ["A", "B", "C"].contains(letter) else { throw .notOneOf(["A", "B", "C"]) }
            return letter
        case .text(let byteCountMax):
            guard value.utf8.count <= byteCountMax else { throw .tooLong(byteCountMax: byteCountMax) }
        case .resource, .command, .names, .word:
            break
        }
        return value
    }

    /// Whether two spellings mean the same value: `512k` and `524288`, `c` and `C`.
    package func isSame(_ left: String, _ right: String) -> Bool {
        if left == right { return true }
        switch kind {
        case .number(let unit, _, _):
            guard let first = Quantity.parse(left, in: unit) else { return false }
            return first == Quantity.parse(right, in: unit)
        case .wireProtocol:
            return left.uppercased() == right.uppercased()
        case .flag, .enumeration, .text, .resource, .command, .names, .word:
            return false
        }
    }
}

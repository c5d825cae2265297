/// Command lines as the classic program prints them.
enum ShellText {
    /// The words joined by blanks, what a shell would take for itself behind backslashes.
    ///
    /// The set of characters that stay bare was found with the 8.4 program.
    static func line(_ words: [String]) -> String {
        words.map(escaped).joined(separator: " ")
    }

    static func escaped(_ word: String) -> String {
        var result = ""
        for scalar in word.unicodeScalars {
            if scalar.isASCII, !isBare(UInt8(truncatingIfNeeded: scalar.value)) { result += "\\" }
            result.unicodeScalars.append(scalar)
        }
        return result
    }

    private static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "%+-./:=@_".utf8.contains(byte)
        }
    }
}

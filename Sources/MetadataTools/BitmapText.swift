/// The bitmap in the text form of `dump-md`: 64-bit words, four on a line; runs of equal words folded.
/// Spec: drbd-config-and-tools 14.2.
///
/// - At the start of a line a run of at least 8 equal words, whose two halves are equal too, is folded in multiples of
///   4 to `N times`.
/// - A comment with the position in kB (a word covers 256 kB) starts the line of every word whose index is a multiple
///   of 32.
enum BitmapText {
    private static let kilobytesPerWord = 256

    /// The lines of the `bm { }` block for the little-endian bitmap `bytes` (a multiple of 8).
    static func lines(of bytes: [UInt8]) -> String {
        let words = Self.words(of: bytes)
        var text = ""
        var index = 0
        while index < words.count {
            if index % 32 == 0 { text += "   # at \(index * kilobytesPerWord)kB\n" }
            let run = foldedRun(in: words, at: index)
            if run > 0 {
                text += "    \(run) times \(number(words[index]));\n"
                index += run
            } else {
                let line = words[index..<min(index + 4, words.count)]
                text += "   " + line.map { " \(number($0));" }.joined() + "\n"
                index += line.count
            }
        }
        return text
    }

    static func words(of bytes: [UInt8]) -> [UInt64] {
        stride(from: 0, to: bytes.count - bytes.count % 8, by: 8).map { start in
            bytes[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    static func bytes(of words: [UInt64]) -> [UInt8] {
        words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
    }

    static func number(_ word: UInt64) -> String {
        "0x" + GenerationText.hexadecimal(word)
    }

    private static func foldedRun(in words: [UInt64], at start: Int) -> Int {
        let word = words[start]
        guard word >> 32 == word & 0xffff_ffff else { return 0 }
        var end = start
        while end < words.count, words[end] == word { end += 1 }
        let run = (end - start) & ~3
        return run >= 8 ? run : 0
    }
}

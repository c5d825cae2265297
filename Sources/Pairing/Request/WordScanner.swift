/// Reads `--name value`, `--name=value`, flags and plain words.
struct WordScanner {
    private var rest: ArraySlice<String>
    private(set) var plain: [String] = []
    private(set) var values: [String: String] = [:]
    private(set) var flags: Set<String> = []

    init(_ words: [String], values known: Set<String>, flags knownFlags: Set<String>) throws(PairingRefusal) {
        rest = words[...]
        while let word = rest.popFirst() {
            guard word.hasPrefix("--") else {
                plain.append(word)
                continue
            }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            if knownFlags.contains(parts[0]), parts.count == 1 {
                flags.insert(parts[0])
            } else if known.contains(parts[0]) {
                guard let value = parts.count == 2 ? parts[1] : rest.popFirst() else {
                    throw PairingRefusal("\(parts[0]) needs a value")
                }
                values[parts[0]] = value
            } else {
                throw PairingRefusal("unknown option '\(PlainText.shown(word))'")
            }
        }
    }
}

/// A command line in the classic manner: `-N 2`, `-N2`, `-qx`, `--label web`, `--label=web`, operands anywhere, `--`
/// ends the options.
struct OptionScanner {
    enum Item: Equatable {
        /// A long option comes under the letter or word that the table gives it.
        case option(String, value: String?)
        case operand(String)
    }

    struct Failure: Error, Equatable {
        var text: String
    }

    /// One option: how it is called, and whether a value follows.
    struct Option {
        var letter: Character?
        var word: String?
        var takesValue: Bool

        init(_ letter: Character? = nil, _ word: String? = nil, value: Bool = false) {
            self.letter = letter
            self.word = word
            takesValue = value
        }

        /// What ``Item/option(_:value:)`` calls it: the word where there is one.
        var name: String { word ?? letter.map(String.init) ?? "" }
    }

    private let options: [Option]
    private var rest: ArraySlice<String>
    private var operandsOnly = false
    /// Letters of a bundle that were not looked at yet.
    private var bundle = ""

    init(_ arguments: [String], options: [Option]) {
        self.options = options
        rest = arguments[...]
    }

    /// nil at the end.
    mutating func next() throws(Failure) -> Item? {
        if !bundle.isEmpty { return try letter() }
        guard let word = rest.popFirst() else { return nil }
        if operandsOnly || !word.hasPrefix("-") || word == "-" { return .operand(word) }
        if word == "--" {
            operandsOnly = true
            return try next()
        }
        if word.hasPrefix("--") { return try long(String(word.dropFirst(2))) }
        bundle = String(word.dropFirst())
        return try letter()
    }

    private mutating func letter() throws(Failure) -> Item {
        let character = bundle.removeFirst()
        guard let option = options.first(where: { $0.letter == character }) else {
            throw Failure(text: "invalid option -- '\(character)'")
        }
        guard option.takesValue else { return .option(option.name, value: nil) }
        if !bundle.isEmpty {
            defer { bundle = "" }
            return .option(option.name, value: bundle)
        }
        guard let value = rest.popFirst() else {
            throw Failure(text: "option requires an argument -- '\(character)'")
        }
        return .option(option.name, value: value)
    }

    /// A word, or the beginning of exactly one.
    private mutating func long(_ text: String) throws(Failure) -> Item {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let exact = options.filter { $0.word == parts[0] }
        let matches = exact.isEmpty ? options.filter { $0.word?.hasPrefix(parts[0]) == true } : exact
        guard let option = matches.first, matches.count == 1 else {
            throw Failure(
                text: matches.isEmpty ? "unrecognized option '--\(parts[0])'" : "option '--\(parts[0])' is ambiguous")
        }
        guard option.takesValue else {
            guard parts.count == 1 else { throw Failure(text: "option '--\(option.name)' doesn't allow an argument") }
            return .option(option.name, value: nil)
        }
        if parts.count == 2 { return .option(option.name, value: parts[1]) }
        guard let value = rest.popFirst() else {
            throw Failure(text: "option '--\(option.name)' requires an argument")
        }
        return .option(option.name, value: value)
    }
}

/// Options as getopt_long takes them: `--name`, `--name=value`, `--name value`, unambiguous beginnings, `--` as end.
///
/// The texts for faults are getopt's.
struct OptionScanner {
    struct Option: Equatable {
        var name: String
        var takesValue = false
        /// The letter that stands for it.
        var letter: Character?
    }

    struct Fault: Error, Equatable {
        var text: String
    }

    let program: String
    let options: [Option]
    /// Stop at the first word that is no option.
    var stopsAtOperand = false

    private(set) var found: [(name: String, value: String)] = []
    private(set) var operands: [String] = []

    init(program: String, options: [Option], stopsAtOperand: Bool = false) {
        self.program = program
        self.options = options
        self.stopsAtOperand = stopsAtOperand
    }

    /// Calls `use` for each option in the order of the line; what it throws ends the scan, as the classic tool does.
    mutating func scan(_ words: [String], use: (String, String) throws(Fault) -> Void) throws(Fault) {
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                operands += rest
                return
            }
            if word.hasPrefix("--") {
                try long(String(word.dropFirst(2)), &rest, use)
            } else if word.hasPrefix("-"), word.count > 1 {
                for letter in word.dropFirst() {
                    guard let option = options.first(where: { $0.letter == letter }) else {
                        throw Fault(text: "\(program): invalid option -- '\(letter)'")
                    }
                    try use(option.name, "")
                }
            } else {
                operands.append(word)
                if stopsAtOperand {
                    operands += rest
                    return
                }
            }
        }
    }

    private func long(
        _ text: String, _ rest: inout ArraySlice<String>, _ use: (String, String) throws(Fault) -> Void
    ) throws(Fault) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let option = try option(parts[0])
        if !option.takesValue {
            guard parts.count == 1 else {
                throw Fault(text: "\(program): option '--\(option.name)' doesn't allow an argument")
            }
            try use(option.name, "")
        } else if parts.count == 2 {
            try use(option.name, parts[1])
        } else if let value = rest.popFirst() {
            try use(option.name, value)
        } else {
            throw Fault(text: "\(program): option '--\(option.name)' requires an argument")
        }
    }

    private func option(_ name: String) throws(Fault) -> Option {
        if let exact = options.first(where: { $0.name == name }) { return exact }
        let candidates = options.filter { $0.name.hasPrefix(name) }
        guard let first = candidates.first else { throw Fault(text: "\(program): unrecognized option '--\(name)'") }
        if candidates.count > 1 {
            let names = candidates.map { "'--\($0.name)'" }.joined(separator: " ")
            throw Fault(text: "\(program): option '--\(name)' is ambiguous; possibilities: \(names)")
        }
        return first
    }
}

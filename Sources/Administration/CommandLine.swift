internal import Configuration

/// What a command line of drbdadm asks for. Spec: drbd-config-and-tools 10.
package struct AdministrationRequest: Equatable, Sendable {
    package var command: AdministrationCommand
    /// Names of resources, `R/V`, `minor-N` or `all`, as given.
    package var targets: [String] = []
    /// What is handed on to drbdsetup and drbdmeta, at the end of their lines.
    package var setupOptions: [String] = []
    package var isDryRun = false
    package var isVerbose = false
    package var isStacked = false
    /// `-c`; nil is the usual search.
    package var configurationPath: String?
    /// `-t`: read in addition, for `dump` and `sh-nop`.
    package var testPath: String?
    /// `-s` and `-m`: other programs to call, as far as the caller runs programs at all.
    package var setupTool: String?
    package var metaTool: String?
    package var peer: String?
    /// Ours: `--root` and `--node`.
    package var root: String?
    package var node: String?
}

/// What comes of a command line.
package enum CommandLineOutcome: Equatable, Sendable {
    case run(AdministrationRequest)
    /// Nothing to run: a text for standard output, one for standard error, and the exit status.
    case exit(output: String, errors: String, code: Int32)
}

/// Takes drbdadm's command line apart, in both forms:
///
///     drbdadm [options] COMMAND [setup options] RESOURCE...
///     drbdadm [options] -- SETUP-OPTION... COMMAND RESOURCE...
package struct CommandLineParser {
    private let program: ProgramIdentity
    private var options = AdministrationRequest(command: CommandTable.all[0])
    private var operands: [String] = []
    private var wantsHelp = false
    private var wantsVersion = false

    /// Leaves with a message and the hint at `help`.
    private struct UsageError: Error {
        var text: String
    }

    private init(_ program: ProgramIdentity) {
        self.program = program
    }

    /// `arguments` are those behind the program's name.
    package static func parse(_ arguments: [String], program: ProgramIdentity) -> CommandLineOutcome {
        var parser = CommandLineParser(program)
        do throws(UsageError) {
            try parser.read(arguments)
        } catch {
            return .exit(
                output: "", errors: "\(program.name): \(error.text)\ntry '\(program.name) help'\n", code: 1)
        }
        return parser.outcome()
    }

    private mutating func read(_ arguments: [String]) throws(UsageError) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                // What begins with '-' up to the command is for drbdsetup.
                while let next = rest.first, next.hasPrefix("-") {
                    options.setupOptions.append(next)
                    rest = rest.dropFirst()
                }
                operands += rest
                return
            }
            if argument.hasPrefix("--") {
                try readLong(argument, &rest)
            } else if argument.hasPrefix("-"), argument != "-" {
                try readShort(argument, &rest)
            } else {
                operands.append(argument)
            }
        }
    }

    // MARK: Options

    private static let longOptions: [(name: String, letter: Character?)] = [
        ("stacked", "S"), ("dry-run", "d"), ("verbose", "v"), ("config-file", "c"), ("config-to-test", "t"),
        ("drbdsetup", "s"), ("drbdmeta", "m"), ("drbd-proxy-ctl", "p"), ("sh-varname", "n"), ("peer", "P"),
        ("version", "V"), ("setup-option", "W"), ("help", "h"), ("root", nil), ("node", nil),
    ]

    private mutating func readLong(_ argument: String, _ rest: inout ArraySlice<String>) throws(UsageError) {
        let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts.first ?? "")
        let value = parts.count > 1 ? String(parts[1]) : nil
        let general = Self.longOptions.filter { $0.name == name || (!name.isEmpty && $0.name.hasPrefix(name)) }
        if let option = general.first(where: { $0.name == name }) ?? (general.count == 1 ? general[0] : nil),
            setupOption(named: name) == nil
        {
            let takesValue = option.letter.map { Self.takesValue($0) } ?? true
            var given = value
            if takesValue, given == nil { given = rest.popFirst() }
            guard !takesValue || given != nil else {
                throw UsageError(text: "option '\(argument)' requires an argument")
            }
            set(option.name, given ?? "")
            return
        }
        guard let option = setupOption(named: name) else {
            throw UsageError(text: "unrecognized option '\(argument)'")
        }
        guard value == nil, !option.isFlag else {
            options.setupOptions.append("--\(option.name)" + (value.map { "=\($0)" } ?? ""))
            return
        }
        guard let next = rest.popFirst() else { throw UsageError(text: "option '\(argument)' requires an argument") }
        options.setupOptions.append("--\(option.name)=\(next)")
    }

    /// An option of the command, which must stand before it; unique beginnings will do.
    private func setupOption(named name: String) -> SetupOption? {
        guard let first = operands.first, let command = CommandTable.command(named: first), !name.isEmpty else {
            return nil
        }
        let all = command.setupOptions
        if let exact = all.first(where: { $0.name == name }) { return exact }
        if let option = all.first(where: { $0.aliases.contains(name) && name.utf8.count > 1 }) {
            var renamed = option
            renamed.name = name
            return renamed
        }
        let near = all.filter { $0.name.hasPrefix(name) }
        return near.count == 1 ? near[0] : nil
    }

    private static func takesValue(_ letter: Character) -> Bool { "ctsmpnPW".contains(letter) }

    private mutating func readShort(_ argument: String, _ rest: inout ArraySlice<String>) throws(UsageError) {
        var letters = argument.dropFirst()
        while let letter = letters.popFirst() {
            guard let option = Self.longOptions.first(where: { $0.letter == letter }) else {
                throw UsageError(text: "invalid option -- '\(letter)'")
            }
            guard Self.takesValue(letter) else {
                set(option.name, "")
                continue
            }
            if !letters.isEmpty {
                set(option.name, String(letters))
            } else if let next = rest.popFirst() {
                set(option.name, next)
            } else {
                throw UsageError(text: "option requires an argument -- '\(letter)'")
            }
            return
        }
    }

    private mutating func set(_ name: String, _ value: String) {
        switch name {
        case "stacked": options.isStacked = true
        case "dry-run": options.isDryRun = true
        case "verbose": options.isVerbose = true
        case "config-file": options.configurationPath = value
        case "config-to-test": options.testPath = value
        case "drbdsetup": options.setupTool = value
        case "drbdmeta": options.metaTool = value
        case "peer": options.peer = value
        case "version": wantsVersion = true
        case "setup-option": options.setupOptions.append(value)
        case "help": wantsHelp = true
        case "root": options.root = value
        case "node": options.node = value
        default: break  // drbd-proxy-ctl and sh-varname have no effect.
        }
    }

    // MARK: Outcome

    private func outcome() -> CommandLineOutcome {
        if wantsVersion { return .exit(output: program.versionText, errors: "", code: 0) }
        guard let first = operands.first else {
            let usage = Usage.general(program)
            return wantsHelp
                ? .exit(output: usage, errors: "", code: 0)
                : .exit(output: usage, errors: "No command specified\n", code: 1)
        }
        if first == "help" {
            let command = operands.dropFirst().first.flatMap { CommandTable.command(named: $0) }
            let text = command.map { Usage.of($0, program) } ?? Usage.general(program)
            return .exit(output: text, errors: "", code: 0)
        }
        guard let command = CommandTable.command(named: first) else {
            return .exit(output: "", errors: "\(program.name): Unknown command '\(first)'\n", code: 1)
        }
        if wantsHelp { return .exit(output: Usage.of(command, program), errors: "", code: 0) }
        if command.name == "hidden-commands" { return .exit(output: Usage.hiddenCommands, errors: "", code: 0) }
        var request = options
        request.command = command
        request.targets = Array(operands.dropFirst())
        if request.targets.isEmpty, command.scope != .configuration, !command.defaultsToAll {
            return .exit(output: Usage.of(command, program), errors: "No resource names specified\n", code: 1)
        }
        return .run(request)
    }
}

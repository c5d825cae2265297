package import Configuration

/// A command line of drbdsetup, understood. Spec: drbd-config-and-tools 11.
package struct SetupInvocation: Equatable, Sendable {
    /// Why a command line was refused; exit status 20.
    package struct Refusal: Error, Equatable {
        package var text: String

        init(_ text: String) { self.text = text }
    }

    package var command: String
    package var arguments: [String]
    /// Options of the option table, under their 8.4 names, with checked values.
    package var entries: [OptionEntry]
    /// Options of the command itself; flags have an empty value.
    package var extras: [String: String]

    package func has(_ extra: String) -> Bool { extras[extra] != nil }

    /// Reads `COMMAND ARGUMENTS...` or, in the old order, `DEVICE COMMAND ARGUMENTS...`.
    ///
    /// Deviation: the one-letter options of 8.3 are taken as well, as the howtos of that time use them.
    package init(parsing words: [String]) throws(Refusal) {
        guard let first = words.first else { throw Refusal(Self.overview) }
        var words = words
        if SetupCommand.named(first) == nil, words.count > 1, SetupCommand.named(words[1]) != nil {
            words.swapAt(0, 1)
        }
        guard let command = SetupCommand.named(words[0]) else {
            throw Refusal("drbdsetup: Unknown command '\(first)'\n" + Self.overview)
        }
        self.command = command.name
        arguments = []
        entries = []
        extras = [:]
        try read(Array(words.dropFirst()), command)
        let needed = command.arguments.count - command.optionalCount
        if arguments.count < needed {
            throw Refusal("Missing argument '\(command.arguments[arguments.count])'\n" + command.usage)
        }
        if arguments.count > command.arguments.count {
            let excess = arguments[command.arguments.count...].joined(separator: "' '")
            throw Refusal("\(command.name): Excess arguments: '\(excess)'\n" + command.usage)
        }
    }

    private static var overview: String {
        "USAGE: drbdsetup command {arguments} [options]\n\nCommands:\n"
            + SetupCommand.all.map { "    \($0.name)\n" }.joined()
    }

    private mutating func read(_ words: [String], _ command: SetupCommand) throws(Refusal) {
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                arguments += rest
                return
            }
            if word.hasPrefix("--") {
                try readLong(String(word.dropFirst(2)), command, &rest)
            } else if word.hasPrefix("-"), word.count > 1, Int(word) == nil {
                try readShort(Array(word.dropFirst()), command, &rest)
            } else {
                arguments.append(word)
            }
        }
    }

    private mutating func readLong(
        _ word: String, _ command: SetupCommand, _ rest: inout ArraySlice<String>
    ) throws(Refusal) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = parts[0]
        let value = parts.count > 1 ? parts[1] : nil
        if let extra = command.extras.first(where: { $0.name == name || $0.aliases.contains(name) }) {
            if extra.takesValue {
                guard let given = value ?? rest.popFirst() else {
                    throw Refusal("\(command.name): option '--\(name)' requires an argument\n" + command.usage)
                }
                extras[extra.name] = given
            } else if value != "no" {
                extras[extra.name] = value ?? ""
            }
            return
        }
        try readOption(name, value, command, &rest)
    }

    private mutating func readOption(
        _ name: String, _ value: String?, _ command: SetupCommand, _ rest: inout ArraySlice<String>
    ) throws(Refusal) {
        for section in command.sections {
            guard let spelled = SpelledSection(rawValue: section.rawValue) else { continue }
            switch OptionTable.meaning(of: name, in: spelled) {
            case .option(let descriptor) where descriptor.isFlag:
                try append(descriptor, value ?? "yes")
                return
            case .option(let descriptor):
                guard let given = value ?? rest.popFirst() else {
                    throw Refusal("\(command.name): option '--\(name)' requires an argument\n" + command.usage)
                }
                try append(descriptor, given)
                return
            case .negatedFlag(let descriptor):
                try append(descriptor, "no")
                return
            case .dropped(let takesValue):
                if takesValue && value == nil { rest = rest.dropFirst() }
                return
            case .unknown: continue
            }
        }
        throw Refusal("\(command.name): unrecognized option '--\(name)'\n" + command.usage)
    }

    private mutating func readShort(
        _ letters: [Character], _ command: SetupCommand, _ rest: inout ArraySlice<String>
    ) throws(Refusal) {
        for (index, letter) in letters.enumerated() {
            let tail = String(letters[(index + 1)...])
            if let extra = command.extras.first(where: { $0.letter == letter }) {
                let name = extra.name == "o" ? "force" : extra.name
                guard extra.takesValue else {
                    extras[name] = ""
                    continue
                }
                guard let value = tail.isEmpty ? rest.popFirst() : tail else {
                    throw Refusal("\(command.name): option requires an argument -- '\(letter)'\n" + command.usage)
                }
                extras[name] = value
                return
            }
            guard let classic = SetupCommand.classicLetter(letter, of: command.name) else {
                throw Refusal("\(command.name): invalid option -- '\(letter)'\n" + command.usage)
            }
            if classic.name == "dry-run" {
                extras["tentative"] = ""
            } else if classic.isFlag {
                try readOption(classic.name, nil, command, &rest)
            } else {
                guard let value = tail.isEmpty ? rest.popFirst() : tail else {
                    throw Refusal("\(command.name): option requires an argument -- '\(letter)'\n" + command.usage)
                }
                try readOption(classic.name, value, command, &rest)
                return
            }
        }
    }

    private mutating func append(_ descriptor: OptionDescriptor, _ value: String) throws(Refusal) {
        var value = value
        if descriptor.clampsToRange, case .number(let unit, let range, _) = descriptor.kind,
            let number = Quantity.parse(value, in: unit)
        {
            value = "\(min(max(number, range.lowerBound), range.upperBound))"
        }
        do throws(ValueError) {
            value = try descriptor.checked(value)
        } catch {
            throw Refusal(Self.text(of: error, descriptor.name, value))
        }
        entries.append(
            OptionEntry(
                section: descriptor.section, name: descriptor.name, value: value,
                location: SourceLocation(file: "command line", line: 0, column: 0)))
    }

    /// Spec: drbd-config-and-tools 4.15, 9.
    private static func text(of error: ValueError, _ name: String, _ value: String) -> String {
        switch error {
        case .notANumber: "\(value) is not a valid number\n"
        case .outOfRange(let number, let range, let unit):
            "\(name) \(value) => \(number)\(unit.letter) out of range [\(range.lowerBound)..\(range.upperBound)]"
                + "\(unit.letter).\n"
        case .notOneOf, .notYesOrNo: "Option --\(name): invalid argument '\(value)'\n"
        case .tooLong(let byteCountMax):
            "Option --\(name): the argument is longer than \(byteCountMax) bytes\n"
        }
    }
}

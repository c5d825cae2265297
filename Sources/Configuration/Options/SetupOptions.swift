/// One option of a drbdsetup command. Spec: drbd-config-and-tools 11.
package struct SetupOption: Equatable, Sendable {
    package var name: String
    package var kind: OptionKind
    /// Other names of it, a single letter for a short option of 8.3.
    package var aliases: [String]
    /// The option of the configuration that it sets; nil for one that only the command has.
    package var descriptor: OptionDescriptor?

    init(_ name: String, _ kind: OptionKind, aliases: [String] = []) {
        self.name = name
        self.kind = kind
        self.aliases = aliases
        descriptor = nil
    }

    init(_ descriptor: OptionDescriptor) {
        name = descriptor.name
        kind = descriptor.kind
        aliases = []
        self.descriptor = descriptor
    }

    package var isFlag: Bool {
        if case .flag = kind { return true }
        return false
    }
}

/// The options of drbdsetup's commands, taken from the same table as the configuration's.
package enum SetupOptions {
    private static let force = SetupOption("force", .flag(default: false))
    private static let setDefaults = SetupOption("set-defaults", .flag(default: false))
    private static let endpoint = OptionKind.text(byteCountMax: 255)
    private static let sectors = OptionKind.number(.sectors, 0...(1 << 41), default: 0)

    /// The options that a command takes, in the order of its usage; empty for a command without any.
    package static func options(of command: String) -> [SetupOption] {
        switch command {
        case "attach": configured(.disk)
        case "disk-options": [setDefaults] + configured(.disk).filter { $0.descriptor?.isInitialOnly != true }
        case "connect":
            [
                SetupOption("tentative", .flag(default: false)),
                SetupOption("discard-my-data", .flag(default: false)),
                SetupOption("alternate-address", endpoint), SetupOption("alternate-peer-address", endpoint),
            ] + configured(.net)
        case "net-options": [setDefaults] + configured(.net)
        case "new-resource": configured(.options)
        case "resource-options": [setDefaults] + configured(.options)
        case "primary":
            [SetupOption("force", .flag(default: false), aliases: ["overwrite-data-of-peer", "o", "f"])]
        case "detach", "disconnect": [force]
        case "resize":
            [
                SetupOption("size", sectors), SetupOption("assume-peer-has-space", .flag(default: false)),
                SetupOption("assume-clean", .flag(default: false)),
                SetupOption("al-stripes", .number(.count, 1...1024, default: 1)),
                SetupOption("al-stripe-size-kB", .number(.kibibytes, 4...16_777_216, default: 32)),
            ]
        case "verify": [SetupOption("start", sectors), SetupOption("stop", sectors)]
        case "new-current-uuid": [SetupOption("clear-bitmap", .flag(default: false), aliases: ["c"])]
        case "wait-connect", "wait-sync":
            OptionTable.startupOptions.filter { $0.kind != .word && $0.kind != .names }.map { SetupOption($0) }
        case "show": [SetupOption("show-defaults", .flag(default: false))]
        default: []
        }
    }

    private static func configured(_ section: OptionSection) -> [SetupOption] {
        OptionTable.options(of: section).filter { !$0.isFromNine }.map { SetupOption($0) }
    }
}

/// What is wrong with the options of a drbdsetup command; all end with exit status 20.
package enum SetupArgumentError: Error, Equatable, Sendable {
    case unknownOption(String)
    case ambiguousOption(String)
    case missingArgument(String)
    case badValue(option: String, value: String, ValueError)

    /// The line for standard error, in the words of the classic program where it has any.
    package func text(command: String) -> String {
        switch self {
        case .unknownOption(let option):
            option.hasPrefix("--")
                ? "\(command): unrecognized option '\(option)'"
                : "\(command): invalid option -- '\(option.dropFirst())'"
        case .ambiguousOption(let option): "\(command): option '\(option)' is ambiguous"
        case .missingArgument(let option): "\(command): option '\(option)' requires an argument"
        case .badValue(_, let value, .notANumber): "\(value) is not a valid number"
        case .badValue(let option, let value, .outOfRange(let number, let range, let unit)):
            "Option --\(option): \(value) => \(number)\(unit.letter) out of range "
                + "[\(range.lowerBound)..\(range.upperBound)]\(unit.letter)"
        case .badValue(let option, let value, _): "Option --\(option): invalid argument '\(value)'"
        }
    }
}

/// The arguments of a drbdsetup command, taken apart and checked.
package struct SetupArguments: Equatable, Sendable {
    /// What is no option, in order.
    package var operands: [String] = []
    /// Options by their full names, in order; flags as `yes` or `no`.
    package var options: [(name: String, value: String)] = []

    package static func == (left: SetupArguments, right: SetupArguments) -> Bool {
        left.operands == right.operands && left.options.elementsEqual(right.options, by: ==)
    }

    /// Takes `arguments` (what follows the command) apart. Options and operands may be mixed; names may be shortened
    /// as long as they are unique, as getopt allows; `--` ends the options.
    package static func parse(
        _ arguments: [String], command: String
    ) throws(SetupArgumentError) -> SetupArguments {
        let known = SetupOptions.options(of: command)
        var result = SetupArguments()
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                result.operands += rest
                break
            }
            guard argument.hasPrefix("-"), argument != "-" else {
                result.operands.append(argument)
                continue
            }
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let option = try find(String(parts[0]), among: known)
            var value = parts.count > 1 ? String(parts[1]) : nil
            if value == nil {
                if option.isFlag {
                    value = "yes"
                } else if let next = rest.popFirst() {
                    value = next
                }
            }
            guard let value else { throw .missingArgument(argument) }
            result.options.append((option.name, try checked(value, of: option)))
        }
        return result
    }

    private static func find(
        _ spelled: String, among known: [SetupOption]
    ) throws(SetupArgumentError) -> SetupOption {
        let isLong = spelled.hasPrefix("--")
        let name = String(spelled.drop { $0 == "-" })
        let allowed = known.filter { option in
            (isLong ? [option.name] + option.aliases : option.aliases).contains { isLong == ($0.utf8.count > 1) && $0 == name }
        }
        if let option = allowed.first { return option }
        guard isLong, !name.isEmpty else { throw .unknownOption(spelled) }
        let near = known.filter { ([$0.name] + $0.aliases).contains { $0.utf8.count > 1 && $0.hasPrefix(name) } }
        guard let option = near.first else { throw .unknownOption(spelled) }
        guard near.count == 1 else { throw .ambiguousOption(spelled) }
        return option
    }

    private static func checked(_ value: String, of option: SetupOption) throws(SetupArgumentError) -> String {
        // By now resync-after is a minor number.
        let kind = option.kind == .resource ? OptionKind.number(.count, -1...1_048_575, default: -1) : option.kind
        var descriptor = option.descriptor ?? OptionDescriptor(.options, option.name, kind)
        descriptor.kind = kind
        do throws(ValueError) {
            return try descriptor.checked(value)
        } catch {
            if case .outOfRange(let number, let range, let unit) = error, descriptor.clampsToRange {
                return "\(min(max(number, range.lowerBound), range.upperBound))\(unit.letter)"
            }
            throw .badValue(option: option.name, value: value, error)
        }
    }
}

extension SetupOptions {
    /// An option of drbdmeta that drbdadm hands on. Spec: drbd-config-and-tools 14.
    package static func metadataFlag(_ name: String) -> SetupOption {
        SetupOption(name, .flag(default: false))
    }

    /// The same with a number.
    package static func metadataNumber(_ name: String) -> SetupOption {
        SetupOption(name, .text(byteCountMax: 32))
    }
}

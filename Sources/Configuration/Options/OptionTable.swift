/// The sections that options live in, by their 8.4 names. The old `syncer` is a spelling: its options belong to others.
package enum OptionSection: String, CaseIterable, Sendable {
    case options, net, disk, startup, proxy, handlers
}

/// What values an option takes.
package enum OptionKind: Equatable, Sendable {
    /// yes or no; written alone it is yes.
    case flag(default: Bool)
    case number(OptionUnit, ClosedRange<Int64>, default: Int64)
    /// One of some words; the first is not always the default.
    case enumeration([String], default: String)
    /// `A`, `B` or `C` in any case.
    case wireProtocol
    /// Any text of at most `byteCountMax` bytes; the default is none.
    case text(byteCountMax: Int)
    /// The name of a resource, or of a volume as `NAME/NUMBER`; -1 is none.
    case resource
    /// A shell command.
    case command
    /// A list of words.
    case names
    /// The name alone says it.
    case word
}

/// What this program does with an option.
package enum OptionSupport: Equatable, Sendable {
    case served
    /// Read, without an effect that anybody could miss.
    case ignored
    /// Read and understood, but what it asks for is not done; said once, by name.
    case notServed(String)
    /// As ``notServed(_:)``, unless the value is this one, which asks for nothing.
    case servedOnly(value: String, String)
}

/// One option of the configuration language. Spec: drbd-config-and-tools 5.
package struct OptionDescriptor: Equatable, Sendable {
    package var section: OptionSection
    package var name: String
    package var kind: OptionKind
    package var support: OptionSupport
    /// Numbers outside the range are brought to its ends with a warning, as the kernel does, instead of refused.
    package var clampsToRange: Bool
    /// Set when a disk is attached or a resource made, and by no later change of options.
    package var isInitialOnly: Bool

    init(
        _ section: OptionSection, _ name: String, _ kind: OptionKind, _ support: OptionSupport = .served,
        clampsToRange: Bool = false, isInitialOnly: Bool = false
    ) {
        self.section = section
        self.name = name
        self.kind = kind
        self.support = support
        self.clampsToRange = clampsToRange
        self.isInitialOnly = isInitialOnly
    }

    /// Only DRBD 9 knows it; drbdsetup does not take it.
    package var isFromNine: Bool { support == .notServed(OptionDescriptor.belongsToNine) }

    static let belongsToNine = "it belongs to DRBD 9"

    package var isFlag: Bool {
        if case .flag = kind { return true }
        return false
    }

    /// The value that holds if nothing is configured, in the spelling of `drbdsetup show --show-defaults`.
    package var defaultText: String {
        switch kind {
        case .flag(let value): value ? "yes" : "no"
        case .number(let unit, _, let value): "\(value)\(unit.letter)"
        case .enumeration(_, let value): value
        case .wireProtocol: "C"
        case .resource: "-1"
        case .text, .command, .names, .word: ""
        }
    }
}

/// All options, as data: the parser, the checks, `adjust` and drbdsetup's own command line read from here.
package enum OptionTable {
    /// In the order of the chapter's tables, which is the order that `drbdsetup help` prints.
    package static let all: [OptionDescriptor] =
        resourceOptions + netOptions + diskOptions + startupOptions + proxyOptions + handlerOptions

    /// The options of one section, in table order.
    package static func options(of section: OptionSection) -> [OptionDescriptor] {
        switch section {
        case .options: resourceOptions
        case .net: netOptions
        case .disk: diskOptions
        case .startup: startupOptions
        case .proxy: proxyOptions
        case .handlers: handlerOptions
        }
    }

    /// The option with this 8.4 name in this section.
    package static func option(_ name: String, in section: OptionSection) -> OptionDescriptor? {
        options(of: section).first { $0.name == name }
    }
}

/// A section as it is spelled in a file.
package enum SpelledSection: String, Equatable, Sendable {
    case options, net, disk, startup, proxy, handlers, syncer
}

/// What a name in a section of a file means.
package enum OptionMeaning: Equatable, Sendable {
    case option(OptionDescriptor)
    /// `no-NAME;`
    case negatedFlag(OptionDescriptor)
    /// An old option that takes a value, or none, and means nothing any more.
    case dropped(takesValue: Bool)
    case unknown
}

extension OptionTable {
    /// The meaning of `name` where it is written, old names and places included. Spec: drbd-config-and-tools 6.1, 6.2.
    package static func meaning(of name: String, in section: SpelledSection) -> OptionMeaning {
        if let option = current(name, in: section) { return .option(option) }
        if name.hasPrefix("no-"), let option = current(String(name.dropFirst(3)), in: section), option.isFlag {
            return .negatedFlag(option)
        }
        if let takesValue = droppedOptions[name], [.net, .disk, .syncer].contains(section) {
            return .dropped(takesValue: takesValue)
        }
        return .unknown
    }

    private static func current(_ name: String, in section: SpelledSection) -> OptionDescriptor? {
        switch section {
        case .options: option(name, in: .options)
        case .startup: option(name, in: .startup)
        case .proxy: option(name, in: .proxy)
        case .handlers: option(name == "outdate-peer" ? "fence-peer" : name, in: .handlers)
        // DRBD 9 has fencing in net.
        case .net: name == "fencing" ? option(name, in: .disk) : option(name, in: .net)
        case .disk:
            switch name {
            case "rate": option("resync-rate", in: .disk)
            case "after": option("resync-after", in: .disk)
            default: option(name, in: .disk)
            }
        case .syncer: syncerOption(name)
        }
    }

    private static func syncerOption(_ name: String) -> OptionDescriptor? {
        switch name {
        case "rate": option("resync-rate", in: .disk)
        case "after": option("resync-after", in: .disk)
        case "al-extents", "c-plan-ahead", "c-delay-target", "c-fill-target", "c-max-rate", "c-min-rate":
            option(name, in: .disk)
        case "verify-alg", "csums-alg", "use-rle": option(name, in: .net)
        case "cpu-mask", "on-no-data-accessible": option(name, in: .options)
        default: nil
        }
    }

    /// Old options by name, and whether they take a value.
    private static let droppedOptions: [String: Bool] = [
        "delay-probe-volume": true, "delay-probe-interval": true, "throttle-threshold": true,
        "hold-off-threshold": true, "use-bmbv": false,
    ]
}

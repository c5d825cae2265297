/// One option of a drbdsetup command. Spec: drbd-config-and-tools 11.
package struct SetupOption: Equatable, Sendable {
    package var name: String
    package var kind: OptionKind
    /// Other names of it.
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
            [SetupOption("force", .flag(default: false), aliases: ["overwrite-data-of-peer"])]
        case "detach", "disconnect": [force]
        case "resize":
            [
                SetupOption("size", sectors), SetupOption("assume-peer-has-space", .flag(default: false)),
                SetupOption("assume-clean", .flag(default: false)),
                SetupOption("al-stripes", .number(.count, 1...1024, default: 1)),
                SetupOption("al-stripe-size-kB", .number(.kibibytes, 4...16_777_216, default: 32)),
            ]
        case "verify": [SetupOption("start", sectors), SetupOption("stop", sectors)]
        case "new-current-uuid": [SetupOption("clear-bitmap", .flag(default: false))]
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

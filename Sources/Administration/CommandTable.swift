package import Configuration

/// One command of drbdadm. Spec: drbd-config-and-tools 10.
package struct AdministrationCommand: Equatable, Sendable {
    /// Where `help` and `hidden-commands` list it.
    package enum Group: Equatable, Sendable { case usual, shell, handler, expert }

    /// What it works on.
    package enum Scope: Equatable, Sendable {
        /// The configuration as a whole; names of resources are ignored, with a remark.
        case configuration
        /// Whole resources.
        case resource
        /// Volumes: all of a resource, or the one that is named.
        case volume
        /// One volume; a resource with several cannot be named without it.
        case singleVolume
    }

    package var name: String
    package var group: Group
    package var scope: Scope
    /// `all` is meant if no resource is named.
    package var defaultsToAll: Bool
    /// Own addresses must belong to this machine. Spec: drbd-config-and-tools 4.11.
    package var verifiesAddresses: Bool
    /// The warnings about the configuration are shown.
    package var showsWarnings: Bool

    init(
        _ name: String, _ group: Group, _ scope: Scope, defaultsToAll: Bool = false, verifiesAddresses: Bool = false,
        showsWarnings: Bool = false
    ) {
        self.name = name
        self.group = group
        self.scope = scope
        self.defaultsToAll = defaultsToAll
        self.verifiesAddresses = verifiesAddresses
        self.showsWarnings = showsWarnings
    }

    /// The options behind the command that are handed on to drbdsetup.
    package var setupOptions: [SetupOption] {
        let options: [SetupOption] =
            switch name {
            case "create-md":
                [
                    SetupOptions.metadataFlag("force"), SetupOptions.metadataNumber("peer-max-bio-size"),
                    SetupOptions.metadataNumber("al-stripes"), SetupOptions.metadataNumber("al-stripe-size-kB"),
                ]
            case "wipe-md", "dump-md", "apply-al", "set-gi": [SetupOptions.metadataFlag("force")]
            case "check-resize", "show": []
            default: SetupOptions.options(of: name)
            }
        // --set-defaults is adjust's own.
        return options.filter { $0.name != "set-defaults" }
    }
}

/// All commands, in the order in which `help` lists them.
package enum CommandTable {
    package static func command(named name: String) -> AdministrationCommand? { all.first { $0.name == name } }

    package static let all: [AdministrationCommand] = usual + shell + handlers + expert

    private static let usual: [AdministrationCommand] = [
        .init("attach", .usual, .volume, showsWarnings: true),
        .init("status", .usual, .resource, defaultsToAll: true),
        .init("disk-options", .usual, .volume),
        .init("detach", .usual, .volume),
        .init("connect", .usual, .resource, verifiesAddresses: true, showsWarnings: true),
        .init("net-options", .usual, .resource, verifiesAddresses: true),
        .init("disconnect", .usual, .resource),
        .init("up", .usual, .volume, verifiesAddresses: true, showsWarnings: true),
        .init("resource-options", .usual, .resource),
        .init("down", .usual, .resource),
        .init("primary", .usual, .volume),
        .init("secondary", .usual, .volume),
        .init("invalidate", .usual, .volume),
        .init("invalidate-remote", .usual, .volume),
        .init("outdate", .usual, .volume),
        .init("resize", .usual, .volume),
        .init("verify", .usual, .volume),
        .init("pause-sync", .usual, .volume),
        .init("resume-sync", .usual, .volume),
        .init("adjust", .usual, .resource, verifiesAddresses: true, showsWarnings: true),
        .init("adjust-with-progress", .usual, .resource, verifiesAddresses: true, showsWarnings: true),
        .init("wait-connect", .usual, .volume),
        .init("wait-con-int", .usual, .configuration),
        .init("role", .usual, .volume),
        .init("cstate", .usual, .volume),
        .init("dstate", .usual, .volume),
        .init("dump", .usual, .resource, defaultsToAll: true, verifiesAddresses: true, showsWarnings: true),
        .init("dump-xml", .usual, .resource, defaultsToAll: true),
        .init("create-md", .usual, .volume, showsWarnings: true),
        .init("show-gi", .usual, .volume),
        .init("get-gi", .usual, .volume),
        .init("dump-md", .usual, .volume),
        .init("wipe-md", .usual, .volume),
        .init("apply-al", .usual, .volume),
        .init("hidden-commands", .usual, .configuration),
    ]

    private static let shell: [AdministrationCommand] = [
        .init("sh-nop", .shell, .configuration, showsWarnings: true),
        .init("sh-resources", .shell, .configuration),
        .init("sh-resource", .shell, .resource),
        .init("sh-mod-parms", .shell, .configuration),
        .init("sh-dev", .shell, .volume),
        .init("sh-udev", .shell, .singleVolume),
        .init("sh-minor", .shell, .volume),
        .init("sh-ll-dev", .shell, .volume),
        .init("sh-md-dev", .shell, .volume),
        .init("sh-md-idx", .shell, .volume),
        .init("sh-ip", .shell, .volume),
        .init("sh-lr-of", .shell, .resource),
        .init("sh-b-pri", .shell, .volume),
        .init("sh-status", .shell, .configuration),
        .init("proxy-up", .shell, .resource),
        .init("proxy-down", .shell, .resource),
        .init("new-resource", .shell, .resource),
    ]

    /// Spec: drbd-disk-and-state 17.
    private static let handlers: [AdministrationCommand] = [
        .init("before-resync-target", .handler, .singleVolume),
        .init("after-resync-target", .handler, .singleVolume),
        .init("before-resync-source", .handler, .singleVolume),
        .init("pri-on-incon-degr", .handler, .singleVolume),
        .init("pri-lost-after-sb", .handler, .singleVolume),
        .init("fence-peer", .handler, .resource),
        .init("unfence-peer", .handler, .resource),
        .init("local-io-error", .handler, .singleVolume),
        .init("pri-lost", .handler, .singleVolume),
        .init("initial-split-brain", .handler, .singleVolume),
        .init("split-brain", .handler, .singleVolume),
        .init("out-of-sync", .handler, .singleVolume),
    ]

    private static let expert: [AdministrationCommand] = [
        .init("sh-new-minor", .expert, .volume),
        .init("new-minor", .expert, .volume),
        .init("suspend-io", .expert, .volume),
        .init("resume-io", .expert, .volume),
        .init("set-gi", .expert, .singleVolume),
        .init("new-current-uuid", .expert, .singleVolume),
        .init("check-resize", .expert, .volume),
    ]
}

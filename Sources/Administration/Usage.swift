internal import Configuration

/// How the program calls itself.
package struct ProgramIdentity: Equatable, Sendable {
    /// `drbdadm`.
    package var name: String
    /// The version, without a name.
    package var version: String

    package init(name: String = "drbdadm", version: String) {
        self.name = name
        self.version = version
    }

    /// The API version of the kernel interface that the classic tools speak, as scripts read it.
    static let apiVersion = 1

    /// The shell variables that `drbdadm --version` prints; scripts source them.
    ///
    /// The version code says 8.4.11, whose manners are kept.
    package var versionText: String {
        """
        DRBDADM_BUILDTAG=\(ShellText.escaped("yoke \(version)"))
        DRBDADM_API_VERSION=\(Self.apiVersion)
        DRBD_KERNEL_VERSION_CODE=0x08040b
        DRBDADM_VERSION_CODE=0x08040b
        DRBDADM_VERSION=8.4.11

        """
    }

    /// The last lines of a usage text.
    var footer: String { "\nVersion: 8.4.11 (api:\(Self.apiVersion))\nyoke \(version)\n\n" }
}

/// Usage texts in the classic shape. Spec: drbd-config-and-tools 10.
package enum Usage {
    static let generalOptions = """

        GENERAL OPTIONS:
          --stacked, -S
          --dry-run, -d
          --verbose, -v
          --config-file=..., -c ...
          --config-to-test=..., -t ...
          --drbdsetup=..., -s ...
          --drbdmeta=..., -m ...
          --drbd-proxy-ctl=..., -p ...
          --sh-varname=..., -n ...
          --peer=..., -P ...
          --version, -V
          --setup-option=..., -W ...
          --help, -h
          --root=...
          --node=...

        """

    /// All usual commands.
    package static func general(_ program: ProgramIdentity) -> String {
        "\nUSAGE: \(program.name) COMMAND [OPTION...] {all|RESOURCE...}\n" + generalOptions + "\nCOMMANDS:\n"
            + columns(.usual) + program.footer
    }

    /// One command with the options that it hands on.
    package static func of(_ command: AdministrationCommand, _ program: ProgramIdentity) -> String {
        var text = "\nUSAGE: \(program.name) \(command.name) [OPTION...] {all|RESOURCE...}\n" + generalOptions
        let options = command.setupOptions
        if !options.isEmpty {
            text += "\nOPTIONS FOR \(command.name):\n"
            for option in options { text += "  --\(option.name)" + (option.isFlag ? "[=...]\n" : "=...\n") }
        }
        return text + program.footer
    }

    /// The commands for scripts, handlers and experts.
    package static let hiddenCommands =
        "\nThese additional commands might be useful for writing\nnifty shell scripts around drbdadm:\n\n"
        + columns(.shell)
        + "\nThese commands are used by the kernel part of DRBD to\ninvoke user mode helper programs:\n\n"
        + columns(.handler)
        + "\nThese commands ought to be used by experts and developers:\n\n"
        + columns(.expert) + "\n"

    /// A blank and two columns of width 35.
    private static func columns(_ group: AdministrationCommand.Group) -> String {
        let names = CommandTable.all.filter { $0.group == group }.map(\.name)
        var text = ""
        for start in stride(from: 0, to: names.count, by: 2) {
            text += " "
            for name in names[start..<min(start + 2, names.count)] {
                text += name + String(repeating: " ", count: max(0, 35 - name.utf8.count))
            }
            text += "\n"
        }
        return text
    }
}

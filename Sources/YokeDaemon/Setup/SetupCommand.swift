package import Configuration

/// The commands of drbdsetup and what each takes. Spec: drbd-config-and-tools 11.
package struct SetupCommand: Sendable {
    /// An option that belongs to the command itself, beside those of the option table.
    package struct Extra: Sendable {
        package var name: String
        package var takesValue = false
        package var aliases: [String] = []
        package var letter: Character?
    }

    package var name: String
    /// Names of the arguments, for the usage.
    package var arguments: [String]
    /// Arguments at the end that may be left out.
    package var optionalCount = 0
    /// Section of the option table whose options are taken.
    package var sections: [OptionSection] = []
    package var extras: [Extra] = []

    /// The usage, as it is printed behind an error.
    package var usage: String {
        var text = "\nUSAGE:\n drbdsetup \(name)"
        for (index, argument) in arguments.enumerated() {
            text += index >= arguments.count - optionalCount ? " [{\(argument)}]" : " {\(argument)}"
        }
        for extra in extras { text += " [--\(extra.name)\(extra.takesValue ? "=val" : "")]" }
        for section in sections {
            for option in OptionTable.options(of: section) {
                text += "\n    [--\(option.name)\(option.isFlag ? "[={yes|no}]" : "=val")]"
            }
        }
        return text + "\n"
    }
}

extension SetupCommand {
    package static func named(_ name: String) -> SetupCommand? { all.first { $0.name == name } }

    private static let force = Extra(name: "force", letter: "f")
    private static let setDefaults = Extra(name: "set-defaults")
    private static let waits: [Extra] = [
        Extra(name: "wfc-timeout", takesValue: true, letter: "t"),
        Extra(name: "degr-wfc-timeout", takesValue: true, letter: "d"),
        Extra(name: "outdated-wfc-timeout", takesValue: true, letter: "o"),
        Extra(name: "wait-after-sb", letter: "w"),
    ]
    private static let colour = Extra(name: "color", letter: "c")

    private static func onMinor(_ name: String, _ extras: [Extra] = []) -> SetupCommand {
        SetupCommand(name: name, arguments: ["minor"], extras: extras)
    }

    package static let all: [SetupCommand] = [
        onMinor(
            "primary",
            [Extra(name: "force", aliases: ["overwrite-data-of-peer"], letter: "f"), Extra(name: "o", letter: "o")]),
        onMinor("secondary"),
        SetupCommand(
            name: "attach", arguments: ["minor", "lower_dev", "meta_data_dev", "meta_data_index"],
            sections: [.disk], extras: [setDefaults]),
        SetupCommand(name: "disk-options", arguments: ["minor"], sections: [.disk], extras: [setDefaults]),
        onMinor("detach", [force]),
        SetupCommand(
            name: "connect", arguments: ["resource", "local_addr", "remote_addr"], sections: [.net],
            extras: [Extra(name: "tentative"), Extra(name: "discard-my-data"), setDefaults]),
        SetupCommand(
            name: "net-options", arguments: ["local_addr", "remote_addr"], sections: [.net], extras: [setDefaults]),
        SetupCommand(
            name: "disconnect", arguments: ["local_addr", "remote_addr"],
            extras: [Extra(name: "force", letter: "F")]),
        onMinor(
            "resize",
            [
                Extra(name: "size", takesValue: true, letter: "s"),
                Extra(name: "assume-peer-has-space", letter: "f"), Extra(name: "assume-clean", letter: "c"),
                Extra(name: "al-stripes", takesValue: true), Extra(name: "al-stripe-size-kB", takesValue: true),
            ]),
        SetupCommand(name: "resource-options", arguments: ["resource"], sections: [.options], extras: [setDefaults]),
        onMinor("new-current-uuid", [Extra(name: "clear-bitmap", letter: "c")]),
        onMinor("invalidate"), onMinor("invalidate-remote"), onMinor("pause-sync"), onMinor("resume-sync"),
        onMinor("suspend-io"), onMinor("resume-io"), onMinor("outdate"),
        onMinor(
            "verify",
            [
                Extra(name: "start", takesValue: true, letter: "s"),
                Extra(name: "stop", takesValue: true, letter: "S"),
            ]),
        SetupCommand(name: "down", arguments: ["resource"]),
        onMinor("state"), onMinor("role"), onMinor("cstate"), onMinor("dstate"), onMinor("show-gi"),
        onMinor("get-gi"), onMinor("check-resize"),
        SetupCommand(name: "sh-status", arguments: ["minor"], optionalCount: 1),
        SetupCommand(
            name: "show", arguments: ["{resource|minor}"], optionalCount: 1,
            extras: [Extra(name: "show-defaults", letter: "D")]),
        SetupCommand(
            name: "status", arguments: ["resource"], optionalCount: 1,
            extras: [
                Extra(name: "verbose", letter: "v"), Extra(name: "statistics", letter: "s"),
                Extra(name: "json", letter: "j"), colour,
            ]),
        SetupCommand(
            name: "events2", arguments: ["{resource|minor}"], optionalCount: 1,
            extras: [
                Extra(name: "timestamps", letter: "T"), Extra(name: "statistics", letter: "s"),
                Extra(name: "now", letter: "n"), colour,
            ]),
        SetupCommand(
            name: "events", arguments: ["minor"], optionalCount: 1,
            extras: [Extra(name: "all-devices", letter: "a"), Extra(name: "unfiltered", letter: "u")]),
        onMinor("wait-connect", waits), onMinor("wait-sync", waits),
        SetupCommand(name: "new-resource", arguments: ["resource"], sections: [.options]),
        SetupCommand(name: "new-minor", arguments: ["resource", "minor", "volume"]),
        onMinor("del-minor"),
        SetupCommand(name: "del-resource", arguments: ["resource"]),
        // 8.3: `N disk LOWER META INDEX`, `N net LOCAL REMOTE PROTOCOL`, `N syncer`.
        SetupCommand(
            name: "disk", arguments: ["minor", "lower_dev", "meta_data_dev", "meta_data_index"], sections: [.disk],
            extras: [setDefaults, Extra(name: "create-device")]),
        SetupCommand(
            name: "net", arguments: ["minor", "local_addr", "remote_addr", "protocol"], sections: [.net],
            extras: [
                setDefaults, Extra(name: "create-device"), Extra(name: "discard-my-data", letter: "D"),
                Extra(name: "tentative"),
            ]),
        SetupCommand(
            name: "syncer", arguments: ["minor"], sections: [.disk, .net, .options],
            extras: [setDefaults, Extra(name: "create-device")]),
    ]

    /// One-letter options of 8.3 that stand for options of the table. Spec: drbd-config-and-tools 11.
    package static func classicLetter(_ letter: Character, of command: String) -> (name: String, isFlag: Bool)? {
        let letters: [Character: String]
        switch command {
        case "disk":
            letters = [
                "d": "size", "e": "on-io-error", "f": "fencing", "a": "no-disk-barrier", "i": "no-disk-flushes",
                "D": "no-disk-drain", "m": "no-md-flushes", "s": "max-bio-bvecs", "t": "disk-timeout",
            ]
        case "net":
            letters = [
                "t": "timeout", "e": "max-epoch-size", "b": "max-buffers", "u": "unplug-watermark",
                "c": "connect-int", "i": "ping-int", "S": "sndbuf-size", "r": "rcvbuf-size", "k": "ko-count",
                "m": "allow-two-primaries", "a": "cram-hmac-alg", "x": "shared-secret", "A": "after-sb-0pri",
                "B": "after-sb-1pri", "C": "after-sb-2pri", "P": "always-asbp", "R": "rr-conflict",
                "p": "ping-timeout", "d": "data-integrity-alg", "o": "no-tcp-cork", "n": "dry-run",
                "g": "on-congestion", "f": "congestion-fill", "h": "congestion-extents",
            ]
        case "syncer":
            letters = [
                "r": "rate", "a": "after", "e": "al-extents", "C": "csums-alg", "v": "verify-alg", "c": "cpu-mask",
                "R": "use-rle", "n": "on-no-data-accessible", "p": "c-plan-ahead", "d": "c-delay-target",
                "s": "c-fill-target", "M": "c-max-rate", "m": "c-min-rate",
            ]
        default: return nil
        }
        guard let name = letters[letter] else { return nil }
        let isFlag =
            name.hasPrefix("no-") || ["allow-two-primaries", "always-asbp", "use-rle", "dry-run"].contains(name)
        return (name, isFlag)
    }
}

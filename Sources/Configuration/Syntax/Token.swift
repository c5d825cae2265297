/// A piece of the configuration's text. Spec: drbd-config-and-tools 2.
package struct Token: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        /// `{ } ; [ ] :`
        case symbol
        /// A bare word, or a keyword.
        case word
        /// One to eight digits, perhaps with `M K G s`.
        case integer
        case ipv4
        case ipv6
        /// A string in double quotes, without them.
        case quoted
        /// A character that begins nothing.
        case invalid
        case endOfFile
    }

    package var kind: Kind
    /// The text; of a quoted string what it stands for.
    package var text: String
    package var location: SourceLocation
    /// Nothing but blanks stands before it in its line.
    package var startsLine: Bool

    package init(kind: Kind, text: String, location: SourceLocation, startsLine: Bool) {
        self.kind = kind
        self.text = text
        self.location = location
        self.startsLine = startsLine
    }

    package func isSymbol(_ symbol: String) -> Bool { kind == .symbol && text == symbol }
    package func isWord(_ word: String) -> Bool { kind == .word && text == word }

    /// A bare word that the classic program takes for a keyword everywhere, so that it needs quotes as a name.
    package var isKeyword: Bool { kind == .word && Keywords.reserved.contains(text) }

    /// What messages show: at most 20 characters. Spec: drbd-config-and-tools 9.
    package var shown: String { Token.shortened(text) }

    static func shortened(_ text: String) -> String {
        text.count > 20 ? text.prefix(20) + "..." : text
    }
}

/// The words of the language.
enum Keywords {
    /// What the 8.4 program refuses without quotes as the name of a resource (found by trying), options apart.
    static let reserved: Set<String> = [
        "global", "common", "resource", "skip", "include", "on", "floating", "stacked-on-top-of", "ignore-on",
        "options", "disk", "net", "syncer", "startup", "handlers", "proxy", "protocol", "volume", "device", "minor",
        "address", "alternate-link-address", "meta-disk", "flexible-meta-disk", "ipv4", "ipv6", "ssocks", "sdp", "sci",
        "yes", "no", "ask", "inside", "outside", "become-primary-on", "stacked-timeouts", "wait-after-sb", "plugin",
        "disable-ip-verification", "udev-always-use-vnr", "minor-count", "dialog-refresh", "cmd-timeout-short",
        "cmd-timeout-medium", "cmd-timeout-long", "usage-count", "_this_host", "_remote_host",
    ]

    static let topLevel: Set<String> = ["global", "common", "resource", "skip", "include"]
    /// Sections of options that `{` follows.
    static let optionSections: Set<String> = [
        "options", "disk", "net", "syncer", "startup", "handlers", "proxy",
    ]
}

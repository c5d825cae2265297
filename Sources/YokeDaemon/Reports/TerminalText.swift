/// Colours and cursor movements of a terminal, for the state words of `yoke status`.
package enum TerminalText {
    /// Green, yellow, or bold red.
    package static func painted(_ text: String, _ level: Health.Level) -> String {
        let code =
            switch level {
            case .healthy: "32"
            case .degraded: "33"
            case .broken: "1;31"
            }
        return "\u{1b}[\(code)m\(text)\u{1b}[0m"
    }

    /// The cursor goes home, and what is on the screen away.
    package static let cleared = "\u{1b}[H\u{1b}[2J"
}

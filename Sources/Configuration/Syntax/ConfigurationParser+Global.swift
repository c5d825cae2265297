extension ConfigurationParser {
    static let globalExpected = "dialog-refresh | minor-count | disable-ip-verification"

    /// Spec: drbd-config-and-tools 3, 5.6.
    func parseGlobal() throws(Stop) {
        let keyword = try take()
        claim("global section", "global", scope: Self.everywhere, at: keyword.location)
        if tree.items.contains(where: { if case .resource = $0 { true } else { false } }) {
            warn(
                .globalNotFirst,
                [
                    "\(keyword.location.fileAndLine): You should put the global {} section",
                    "\tin front of any resource {} section",
                ], at: keyword.location)
        }
        try expect("{")
        var syntax = GlobalSyntax(location: keyword.location)
        try parseBlock(
            .global, title: "global", keyword: keyword, expected: Self.globalExpected,
            isKnown: { Self.isGlobalItem($0.text) }
        ) { (token: Token) throws(Stop) in
            try self.parseGlobalItem(token, into: &syntax.settings)
        }
        tree.items.append(.global(syntax))
    }

    /// The scope of names that are unique over all files.
    static let everywhere = SourceLocation(file: "", line: 0, column: 0)

    private static func isGlobalItem(_ word: String) -> Bool {
        ["disable-ip-verification", "udev-always-use-vnr", "usage-count"].contains(word)
            || GlobalSettings.range(of: word) != nil || word.hasPrefix("require-drbd-module-version-")
    }

    private func parseGlobalItem(_ token: Token, into settings: inout GlobalSettings) throws(Stop) {
        guard token.kind == .word, Self.isGlobalItem(token.text) else {
            throw unexpected(token, expected: Self.globalExpected, kind: .unknownOption)
        }
        try take()
        switch token.text {
        case "disable-ip-verification": settings.isIPVerificationDisabled = true
        case "udev-always-use-vnr": settings.alwaysUsesVolumeNumberInUdev = true
        case "usage-count":
            let value = try peek()
            guard let usage = GlobalSettings.UsageCount(rawValue: value.text) else {
                throw unexpected(value, expected: "yes | no | ask")
            }
            try take()
            settings.usageCount = usage
        case "minor-count": settings.minorCount = try globalNumber(token)
        case "dialog-refresh": settings.dialogRefreshSeconds = try globalNumber(token) ?? 1
        case "cmd-timeout-short": settings.commandTimeoutShortSeconds = try globalNumber(token) ?? 5
        case "cmd-timeout-medium": settings.commandTimeoutMediumSeconds = try globalNumber(token) ?? 600
        case "cmd-timeout-long": settings.commandTimeoutLongSeconds = try globalNumber(token) ?? 0
        default: try take()  // The version that DRBD 9's require-drbd-module-version-* asks for.
        }
        try expect(";")
    }

    /// The number if it is in its range; nil after noting that it is not.
    private func globalNumber(_ keyword: Token) throws(Stop) -> Int? {
        let value = try peek()
        let number = try expectInteger()
        guard let range = GlobalSettings.range(of: keyword.text) else { return number.value }
        return checkRange(keyword.text, value, number.value, range) ? number.value : nil
    }

    /// Notes a number that is out of range, in the classic words.
    func checkRange(_ name: String, _ token: Token, _ value: Int, _ range: ClosedRange<Int64>) -> Bool {
        if range.contains(Int64(value)) { return true }
        note(
            Diagnostic(
                .error, .outOfRange,
                [
                    "\(token.location.fileAndLine): \(name) \(token.text) => \(value) out of range "
                        + "[\(range.lowerBound)..\(range.upperBound)]."
                ], at: token.location))
        return false
    }
}

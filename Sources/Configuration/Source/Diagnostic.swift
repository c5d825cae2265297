/// One thing that is wrong, or worth saying, in a configuration.
///
/// The text begins with the classic program's lines where it has any (Spec: drbd-config-and-tools 9); the exact place
/// and the way out follow, indented by a tab:
///
///     r0.res:14: Parse error: 'an option keyword' expected,
///     <TAB>but got 'net'
///     <TAB>at r0.res:14:3
///     <TAB>hint: 'startup {' opened at r0.res:9 is not closed; a '}' is missing before line 14
package struct Diagnostic: Error, Equatable, Sendable {
    package enum Severity: Equatable, Sendable { case warning, error }

    /// What it is about, for programs and tests.
    package enum Kind: String, Equatable, Sendable {
        case unexpectedToken, unclosedBlock, unclosedSkip, unterminatedString, tokenTooLong, notUTF8
        case unknownOption, notANumber, outOfRange, invalidValue, unknownProtocol
        case conflict, missingKeyword, invalidDevice, mixedVolumes, volumeMismatch, hostInCommon
        case includeFailed, includeTooDeep, fileUnreadable, tooManyErrors
        case tooManyHosts, multipleOwnHosts, stackedResource, invalidName, foreignAddress
        case deprecated, globalNotFirst, duplicateOption, notServed, unknownResyncAfter, noOwnHost
        case becomePrimaryWithoutTwoPrimaries, noVolume, endOfFileClosesResource
    }

    package var severity: Severity
    package var kind: Kind
    /// The classic lines, or our own where there are none.
    package var lines: [String]
    /// The exact place, if there is one.
    package var location: SourceLocation?
    /// What was found and what was expected, for a syntax error.
    package var found: String?
    package var expected: String?
    /// The opening of the block that is not closed.
    package var openedAt: SourceLocation?
    /// What to do, one sentence each.
    package var hints: [String]
    /// The exit status that the classic program has for it. Spec: drbd-config-and-tools 9, 10.
    package var exitCode: Int32

    package init(
        _ severity: Severity, _ kind: Kind, _ lines: [String], at location: SourceLocation? = nil,
        found: String? = nil, expected: String? = nil, openedAt: SourceLocation? = nil, hints: [String] = [],
        exitCode: Int32 = 10
    ) {
        self.severity = severity
        self.kind = kind
        self.lines = lines
        self.location = location
        self.found = found
        self.expected = expected
        self.openedAt = openedAt
        self.hints = hints
        self.exitCode = exitCode
    }

    /// The text for standard error, without a newline at its end.
    package var text: String {
        var all = lines
        if let location { all.append("\tat \(location.full)") }
        all += hints.map { "\thint: \($0)" }
        return all.joined(separator: "\n")
    }

    /// `FILE:LINE: conflicting use of ...`, and where the first use is.
    static func conflict(
        _ what: String, _ key: String, at location: SourceLocation, first: SourceLocation, hints: [String] = []
    ) -> Diagnostic {
        Diagnostic(
            .error, .conflict,
            [
                "\(location.fileAndLine): conflicting use of \(what) '\(key)' ...",
                "\(first.fileAndLine): \(what) '\(key)' first used here.",
            ], at: location, hints: hints)
    }
}

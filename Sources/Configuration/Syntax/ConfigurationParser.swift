/// What parsing gives, whatever the input: as much of a tree as could be understood, and what is wrong.
package struct ParseResult: Equatable, Sendable {
    package var tree: SyntaxTree
    /// In the order of the text.
    package var diagnostics: [Diagnostic]
    /// Every file that was read, as given or globbed.
    package var files: [String]

    package var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }
    /// The tree is good enough for the checks of meaning: all errors are braces that are missing and were put in.
    package var isTreeComplete: Bool {
        diagnostics.allSatisfy { $0.severity == .warning || $0.kind == .unclosedBlock || $0.kind == .outOfRange }
    }
}

/// Parser of the configuration language in all its spellings: 8.3, 8.4 and 9. Spec: drbd-config-and-tools 3, 6, 7.
///
/// Recursive descent. An error is noted and the parser goes on behind the statement, or, if a keyword shows that a
/// `}` is missing, as if it were there; so one run names every problem of a file. Never traps, whatever the bytes; time
/// and depth are bounded by the length of the input.
package final class ConfigurationParser {
    /// Leaves the item that is being parsed; the error itself is noted already.
    struct Stop: Error {}

    /// A `{` that waits for its `}`.
    struct OpenBlock {
        enum Kind { case global, resource, common, host, volume, section, connection, path, mesh }

        var kind: Kind
        /// Its first line without what follows: `on node1 {`.
        var title: String
        var location: SourceLocation
        var startsLine: Bool
        /// A block inside that begins no further right than this one: where a `}` may be missing.
        var suspect: (title: String, location: SourceLocation)?
    }

    static let includeDepthMax = 10
    static let fileCountMax = 1000
    /// Errors, and warnings, that are noted.
    static let noteCountMax = 50

    let source: any ConfigurationSource
    let root: String
    var lexer: Lexer
    var fileName: String
    var lookahead: Token?
    /// The token that was taken last; to say where a `;` is missing.
    var previous: Token?
    var tree = SyntaxTree()
    var diagnostics: [Diagnostic] = []
    private var errorCount = 0
    var openBlocks: [OpenBlock] = []
    /// First uses, by a key of the message and the place of the resource.
    var uses: [String: SourceLocation] = [:]
    /// Options that were already reported as not served.
    var reportedOptions: Set<String> = []
    private var readFiles: Set<String> = []
    private var files: [String] = []
    private var includeDepth = 0

    /// Parses one file from memory; included files come from `source`, of which there are none by default.
    ///
    /// `additionalFile` is read behind it, as if it were included at its end.
    package static func parse(
        bytes: [UInt8], fileName: String, additionalFile: String? = nil,
        source: any ConfigurationSource = MemoryConfigurationSource(), root: String = "/"
    ) -> ParseResult {
        let parser = ConfigurationParser(bytes: bytes, fileName: fileName, source: source, root: root)
        parser.parseFile()
        if let additionalFile { parser.readAdditionalFile(additionalFile) }
        return ParseResult(tree: parser.tree, diagnostics: parser.diagnostics, files: parser.files)
    }

    init(bytes: [UInt8], fileName: String, source: any ConfigurationSource, root: String) {
        self.source = source
        self.root = root
        self.fileName = fileName
        lexer = Lexer(bytes: bytes, file: fileName)
        readFiles.insert(source.realPath(fileName))
        files.append(fileName)
    }

    // MARK: Tokens

    /// The next token, without taking it.
    func peek() throws(Stop) -> Token {
        if let lookahead { return lookahead }
        do throws(Diagnostic) {
            let token = try lexer.next()
            lookahead = token
            return token
        } catch {
            note(error)
            // Go on behind the line: what follows a string without an end is noise.
            if error.kind == .unterminatedString { lexer.skipLine() }
            throw Stop()
        }
    }

    @discardableResult
    func take() throws(Stop) -> Token {
        let token = try peek()
        lookahead = nil
        if token.kind != .endOfFile { previous = token }
        return token
    }

    /// The tokens behind the next one, up to `count`, without taking any.
    func tokensAhead(_ count: Int) -> [Token] {
        guard let first = try? peek(), first.kind != .endOfFile else { return [] }
        var copy = lexer
        var tokens: [Token] = []
        while tokens.count < count, let token = try? copy.next(), token.kind != .endOfFile { tokens.append(token) }
        return tokens
    }

    /// Takes the symbol, or notes what is there instead.
    func expect(_ symbol: String, expected: String? = nil) throws(Stop) {
        let token = try peek()
        guard token.isSymbol(symbol) else {
            var hints: [String] = []
            if symbol == ";", let previous {
                hints.append("a ';' is missing after '\(previous.shown)' at \(previous.location.full)")
            }
            throw unexpected(token, expected: expected ?? symbol, hints: hints)
        }
        try take()
    }

    /// Takes a name or another word that is no keyword. `TK_STRING` is what the classic messages call it.
    func expectString(expected: String = "TK_STRING") throws(Stop) -> Token {
        let token = try peek()
        guard token.kind == .quoted || (token.kind == .word && !token.isKeyword) else {
            throw unexpected(token, expected: expected, hints: wordHints(token))
        }
        return try take()
    }

    /// Takes a plain number.
    func expectInteger() throws(Stop) -> Located<Int> {
        let token = try peek()
        guard token.kind == .integer, let value = Quantity.parse(token.text, in: .count) else {
            throw unexpected(token, expected: "TK_INTEGER")
        }
        try take()
        return Located(Int(value), at: token.location)
    }

    private func wordHints(_ token: Token) -> [String] {
        if token.isKeyword { return ["'\(token.text)' is a keyword; as a name or value it needs quotes"] }
        switch token.kind {
        case .integer, .ipv4, .ipv6: return ["a name that looks like a number or an address needs quotes"]
        case .invalid: return ["quote a value with other characters than A-Z a-z 0-9 / . _ -"]
        case .symbol, .word, .quoted, .endOfFile: return []
        }
    }

    // MARK: Errors

    /// Notes a problem; of errors and of warnings so many at most.
    func note(_ diagnostic: Diagnostic) {
        let isError = diagnostic.severity == .error
        let count = isError ? errorCount : diagnostics.count - errorCount
        guard count < Self.noteCountMax else {
            if isError, count == Self.noteCountMax {
                errorCount += 1
                diagnostics.append(
                    Diagnostic(
                        .error, .tooManyErrors, ["\(fileName): too many errors; the rest is not shown"],
                        at: diagnostic.location))
            }
            return
        }
        if isError { errorCount += 1 }
        diagnostics.append(diagnostic)
    }

    /// Notes a syntax error in the classic shape and gives what leaves the item. Spec: drbd-config-and-tools 9.
    func unexpected(
        _ token: Token, expected: String, kind: Diagnostic.Kind = .unexpectedToken, hints: [String] = []
    ) -> Stop {
        note(syntaxError(token, expected: expected, kind: kind, hints: hints))
        return Stop()
    }

    func syntaxError(
        _ token: Token, expected: String, kind: Diagnostic.Kind = .unexpectedToken, openedAt: SourceLocation? = nil,
        hints: [String] = []
    ) -> Diagnostic {
        Diagnostic(
            .error, kind,
            [
                "\(token.location.fileAndLine): Parse error: '\(expected)' expected,",
                "\tbut got '\(token.shown)'",
            ], at: token.location, found: token.text, expected: expected, openedAt: openedAt, hints: hints)
    }

    func warn(_ kind: Diagnostic.Kind, _ lines: [String], at location: SourceLocation, hints: [String] = []) {
        note(Diagnostic(.warning, kind, lines, at: location, hints: hints))
    }

    /// Notes a conflict if `key` was used before in the same `scope`.
    func claim(_ what: String, _ key: String, scope: SourceLocation, at location: SourceLocation) {
        let entry = "\(scope.full) \(what) \(key)"
        if let first = uses[entry] {
            note(.conflict(what, key, at: location, first: first))
        } else {
            uses[entry] = location
        }
    }

    /// Goes to where the next statement may begin, after an error in the one that began at `start`.
    func recover(from start: SourceLocation) {
        var depth = 0
        var isFirst = true
        while true {
            guard let token = try? peek() else {
                // A lexical error inside what is skipped anyway; it was noted.
                lookahead = nil
                isFirst = false
                continue
            }
            if token.kind == .endOfFile { return }
            let isStart = token.location == start
            if depth == 0, !isStart {
                if token.isSymbol("}") { return }
                // A word that begins a line is the next statement: a ';' was missing before it.
                if token.kind == .word, token.startsLine, isFirst || token.location.column <= start.column { return }
            }
            _ = try? take()
            isFirst = false
            if token.isSymbol("{") { depth += 1 }
            if token.isSymbol("}") {
                depth -= 1
                if depth <= 0 { return }
            }
            if depth == 0, token.isSymbol(";") { return }
        }
    }

    // MARK: Files

    static let topLevelExpected = "global | common | resource | skip | include"

    func parseFile() {
        while true {
            guard let token = try? peek() else {
                lookahead = nil
                continue
            }
            if token.kind == .endOfFile { return }
            do throws(Stop) {
                try parseTopLevelItem(token)
            } catch {
                recover(from: token.location)
            }
        }
    }

    private func parseTopLevelItem(_ token: Token) throws(Stop) {
        guard token.kind == .word else { return try refuseTopLevel(token) }
        switch token.text {
        case "global": try parseGlobal()
        case "common": try parseCommon()
        case "resource": try parseResource()
        case "skip": try parseSkip()
        case "include": try parseInclude()
        default: try refuseTopLevel(token)
        }
    }

    private func refuseTopLevel(_ token: Token) throws(Stop) {
        guard token.isSymbol("}") else { throw unexpected(token, expected: Self.topLevelExpected) }
        // One brace too many; nothing else is to be skipped.
        note(
            syntaxError(
                token, expected: Self.topLevelExpected, hints: ["no block is open here; this '}' is one too many"]))
        try take()
    }

    private func parseSkip() throws(Stop) {
        let keyword = try take()
        let token = try peek()
        if token.kind == .quoted || (token.kind == .word && !token.isKeyword) { try take() }
        try expect("{", expected: "[ some_text ] {")
        skipOpenedBlock(keyword.location, what: "this skip block")
    }

    /// Skips a block whose `{` was just taken.
    func skipOpenedBlock(_ start: SourceLocation, what: String) {
        guard !lexer.skipBlock() else { return }
        let end = lexer.location
        note(
            Diagnostic(
                .error, .unclosedSkip, ["\(end.fileAndLine): reached eof while parsing \(what)."], at: end,
                openedAt: start, hints: ["it was opened at \(start.full) and is not closed"]))
    }

    private func parseInclude() throws(Stop) {
        try take()
        let pattern = try expectString()
        try expect(";")
        guard includeDepth < Self.includeDepthMax else {
            note(
                Diagnostic(
                    .error, .includeTooDeep,
                    ["\(pattern.location.fileAndLine): Failed to open include file '\(pattern.text)'."],
                    at: pattern.location, hints: ["files are included at most \(Self.includeDepthMax) levels deep"]))
            return
        }
        let paths = matches(of: pattern.text)
        if paths.isEmpty, !pattern.text.contains(where: { "*?[".contains($0) }) {
            note(includeFailure(pattern, reason: "there is no such file"))
        }
        for path in paths where readFiles.insert(source.realPath(path)).inserted {
            include(path, pattern: pattern)
        }
    }

    /// A relative pattern begins at the file that holds it; an absolute one is below the root if it matches there.
    private func matches(of pattern: String) -> [String] {
        if pattern.hasPrefix("/") {
            let rooted = source.glob(pathBelowRoot(pattern, root: root))
            return rooted.isEmpty ? source.glob(pattern) : rooted
        }
        guard let slash = fileName.lastIndex(of: "/") else { return source.glob(pattern) }
        return source.glob(String(fileName[...slash]) + pattern)
    }

    private func includeFailure(_ pattern: Token, reason: String) -> Diagnostic {
        Diagnostic(
            .error, .includeFailed,
            ["\(pattern.location.fileAndLine): Failed to open include file '\(pattern.text)'."], at: pattern.location,
            hints: [reason])
    }

    private func readAdditionalFile(_ path: String) {
        let place = SourceLocation(file: path, line: 1, column: 1)
        include(path, pattern: Token(kind: .word, text: path, location: place, startsLine: true))
    }

    private func include(_ path: String, pattern: Token) {
        guard files.count < Self.fileCountMax else {
            note(includeFailure(pattern, reason: "more than \(Self.fileCountMax) files"))
            return
        }
        let bytes: [UInt8]
        do throws(SourceError) {
            bytes = try source.read(path)
        } catch {
            note(includeFailure(pattern, reason: "\(path): \(error.reason)"))
            return
        }
        files.append(path)
        let outer = (lexer, lookahead, previous, fileName)
        (lexer, lookahead, previous, fileName) = (Lexer(bytes: bytes, file: path), nil, nil, path)
        includeDepth += 1
        parseFile()
        includeDepth -= 1
        (lexer, lookahead, previous, fileName) = outer
    }
}

extension SourceError {
    /// In words, without the path.
    package var reason: String {
        switch self {
        case .notFound: "No such file or directory"
        case .unreadable(_, let reason): reason
        case .tooLarge(_, let maximum): "the file is larger than \(maximum) bytes"
        }
    }
}

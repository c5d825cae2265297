/// Reads the text of cluster.conf.
///
/// Every file that the classic parser accepts means the same here (Spec: o2cb 2.1). What it refuses although the
/// meaning is plain is read too: attributes without indentation, headers with it, blank lines and indented comments
/// inside a stanza, CRLF, `cluster :`, a comment behind a number or an address, a missing `node_count`.
///
///     file       = { line }
///     line       = blank | comment | header | attribute
///     header     = name ":"
///     attribute  = name "=" value      of the last header
///
/// The value goes to the end of the line, so that a `#` in a name is part of the name; a backslash at the end of a line
/// continues the value on the next one. The last of several attributes of one name holds.
package enum ClusterFileReader {
    /// The file as read, and what is to be said about it. There is none where there is an error.
    package struct Result: Equatable, Sendable {
        package var file: ClusterFile?
        package var diagnostics: [Diagnostic]

        package var errors: [Diagnostic] { diagnostics.filter { $0.severity == .error } }
        package var warnings: [Diagnostic] { diagnostics.filter { $0.severity == .warning } }
    }

    /// Reads a file of `source`; a missing one is an empty configuration. Spec: o2cb 2.1 row 15.
    package static func load(path: String, source: any ConfigurationSource) -> Result {
        do throws(SourceError) {
            return read(try source.read(path), fileName: path)
        } catch {
            if case .notFound = error { return Result(file: ClusterFile(), diagnostics: []) }
            let diagnostic = Diagnostic(
                .error, .fileUnreadable, ["Can not open '\(path)'.", "\t\(error.reason)"], exitCode: 1)
            return Result(file: nil, diagnostics: [diagnostic])
        }
    }

    package static func read(_ bytes: [UInt8], fileName: String) -> Result {
        var parser = ClusterStanzaParser(fileName: fileName)
        parser.parse(bytes)
        // Behind a line that could not be read, every further complaint would be a consequence of it.
        guard parser.diagnostics.isEmpty else { return Result(file: nil, diagnostics: parser.diagnostics) }
        var builder = ClusterFileBuilder()
        let file = builder.build(parser.stanzas)
        let hasErrors = builder.diagnostics.contains { $0.severity == .error }
        return Result(file: hasErrors ? nil : file, diagnostics: builder.diagnostics)
    }
}

/// One stanza as written.
struct ClusterStanza: Equatable {
    struct Attribute: Equatable {
        var name: String
        var value: String
        var location: SourceLocation
    }

    var name: String
    var location: SourceLocation
    var attributes: [Attribute] = []

    /// The one that holds. Spec: o2cb 2.1 row 13.
    func attribute(_ name: String) -> Attribute? { attributes.last { $0.name == name } }
}

/// Lines to stanzas.
struct ClusterStanzaParser {
    /// More faults than anybody reads.
    static let errorCountMax = 20

    let fileName: String
    var stanzas: [ClusterStanza] = []
    var diagnostics: [Diagnostic] = []
    /// An empty line lies between the last attribute and this one.
    private var followsBlank = false

    init(fileName: String) {
        self.fileName = fileName
    }

    mutating func parse(_ bytes: [UInt8]) {
        // Comments may be in any encoding. On scalars: CR LF would be one Character.
        let lines = String(decoding: bytes, as: UTF8.self).unicodeScalars.split(
            separator: "\n", omittingEmptySubsequences: false)
        var index = 0
        while index < lines.count, diagnostics.count < Self.errorCountMax {
            let number = index + 1
            var line = Self.text(lines[index])
            index += 1
            // Only a value is continued: a backslash at the end of a comment means nothing.
            while line.last == "\\", line.contains("="), Self.trimmed(line).first != "#", index < lines.count {
                line = String(line.dropLast()) + "\n" + Self.text(lines[index])
                index += 1
            }
            parse(line: line, number: number, before: lines[index...])
        }
    }

    private mutating func parse(line: String, number: Int, before next: ArraySlice<Substring.UnicodeScalarView>) {
        let trimmed = Self.trimmed(line)
        guard !trimmed.isEmpty, trimmed.first != "#" else {
            followsBlank = followsBlank || trimmed.isEmpty
            return
        }
        defer { followsBlank = false }
        let name = String(trimmed.prefix { Self.isNameCharacter($0) })
        let rest = Self.trimmed(trimmed.dropFirst(name.count))
        let column = 1 + line.utf8.count - Self.leftTrimmed(line).utf8.count
        let location = SourceLocation(file: fileName, line: number, column: column)
        if !name.isEmpty, rest.first == ":" {
            let tail = Self.trimmed(rest.dropFirst())
            guard tail.isEmpty || tail.first == "#" else {
                fail(
                    .unexpectedToken, line: number, found: "'\(tail)' behind '\(name):'",
                    expected: "the end of the line",
                    fix: "write the name on a line of its own: <TAB>name = \(tail)")
                return
            }
            stanzas.append(ClusterStanza(name: name, location: location))
        } else if !name.isEmpty, rest.first == "=" {
            if stanzas.isEmpty || followsBlank {
                let block = [name] + Self.attributeNames(next)
                if MissingHeader.isMissing(before: block, in: stanzas.last) {
                    failHeader(name, MissingHeader.header(of: block), location)
                }
            }
            guard !stanzas.isEmpty else { return }
            let value = String(Self.trimmed(rest.dropFirst()))
            guard !value.unicodeScalars.contains("\u{FFFD}") else {
                fail(
                    .notUTF8, line: number, found: "a byte that is no text in '\(name)'", expected: "ASCII or UTF-8",
                    fix: "save the file as UTF-8")
                return
            }
            stanzas[stanzas.count - 1].attributes.append(
                ClusterStanza.Attribute(name: name, value: value, location: location))
        } else {
            fail(
                .unexpectedToken, line: number, found: "'\(trimmed)'", expected: "'name = value' or 'name:'",
                fix: Self.fix(name, isAlone: rest.isEmpty))
        }
    }

    /// The names of the attributes up to the next empty line or header.
    private static func attributeNames(_ lines: ArraySlice<Substring.UnicodeScalarView>) -> [String] {
        var names: [String] = []
        for line in lines {
            let text = trimmed(Self.text(line))
            let name = text.prefix { isNameCharacter($0) }
            guard !name.isEmpty, trimmed(text.dropFirst(name.count)).first == "=" else { break }
            names.append(String(name))
        }
        return names
    }

    /// What follows is read as if the header were there, so that each further one that is missing is named too.
    private mutating func failHeader(_ name: String, _ header: String?, _ location: SourceLocation) {
        guard let header else {
            fail(
                .unexpectedToken, line: location.line, found: "attribute '\(name)' outside of a stanza",
                expected: "'cluster:' or 'node:' before it", fix: "put the header above this line")
            return
        }
        let place = stanzas.isEmpty ? "outside of a stanza" : "behind an empty line"
        fail(
            .unexpectedToken, line: location.line, found: "attribute '\(name)' \(place)",
            expected: "'\(header):' before it", fix: "write '\(header):' on a line of its own above this one")
        stanzas.append(ClusterStanza(name: header, location: location))
    }

    private mutating func fail(_ kind: Diagnostic.Kind, line: Int, found: String, expected: String, fix: String) {
        diagnostics.append(
            ClusterFault.diagnostic(
                kind, at: SourceLocation(file: fileName, line: line, column: 1), found: found, expected: expected,
                fix: fix))
    }

    /// What a line that is neither header nor attribute wanted to be.
    private static func fix(_ name: String, isAlone: Bool) -> String {
        if name.isEmpty { return "begin a comment with '#', or remove the line" }
        let isHeader = isAlone && ["cluster", "node", "heartbeat"].contains(name)
        return "a '\(isHeader ? ":" : "=")' is missing behind '\(name)'"
    }

    private static func isNameCharacter(_ character: Character) -> Bool {
        switch character {
        case "a"..."z", "A"..."Z", "0"..."9", "_": character.isASCII
        default: false
        }
    }

    /// Without the CR of a CRLF.
    private static func text(_ line: Substring.UnicodeScalarView) -> String {
        String(line.last == "\r" ? Substring(line.dropLast()) : Substring(line))
    }

    private static func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" }

    private static func leftTrimmed(_ text: some StringProtocol) -> Substring {
        Substring(text).drop { isBlank($0) }
    }

    private static func trimmed(_ text: some StringProtocol) -> Substring {
        var rest = leftTrimmed(text)
        while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
        return rest
    }
}

/// Faults of cluster.conf all read alike: place, what was found, what was expected; the way out in the hint.
enum ClusterFault {
    static func diagnostic(
        _ kind: Diagnostic.Kind, _ severity: Diagnostic.Severity = .error, at location: SourceLocation?, found: String,
        expected: String, fix: String
    ) -> Diagnostic {
        let place = location.map { "\($0.fileAndLine): " } ?? ""
        var diagnostic = Diagnostic(
            severity, kind, ["\(place)\(found), expected \(expected)"], found: found, expected: expected, hints: [fix],
            exitCode: 1)
        diagnostic.location = location
        return diagnostic
    }
}

extension Diagnostic {
    /// The text without the exact place, for messages whose first line has it already.
    package var shortText: String {
        (lines + hints.map { "\thint: \($0)" }).joined(separator: "\n")
    }
}

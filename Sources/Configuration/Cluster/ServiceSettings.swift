/// `/etc/default/o2cb` (Debian) or `/etc/sysconfig/o2cb` (Red Hat): how the cluster is started, and its timers.
///
/// The file is one of shell assignments. Every line is kept; what is changed is changed in its place. Spec: o2cb 3.1.
package struct ServiceSettings: Equatable, Sendable {
    /// In the order of search.
    package static let paths = ["/etc/sysconfig/o2cb", "/etc/default/o2cb"]

    package enum Timer: CaseIterable, Equatable, Sendable {
        case threshold, idle, keepalive, reconnect

        package var variable: String {
            switch self {
            case .threshold: "O2CB_HEARTBEAT_THRESHOLD"
            case .idle: "O2CB_IDLE_TIMEOUT_MS"
            case .keepalive: "O2CB_KEEPALIVE_DELAY_MS"
            case .reconnect: "O2CB_RECONNECT_DELAY_MS"
            }
        }

        /// The least that the classic dialogue takes; nobody checks it in the file.
        package var minimum: Int {
            switch self {
            case .threshold: 7
            case .idle: 5000
            case .keepalive: 1000
            case .reconnect: 2000
            }
        }

        /// The least that the node manager of a kernel host takes. Spec: o2cb 5.2.
        package var hardMinimum: Int { self == .threshold ? 3 : 1 }
    }

    /// One line: an assignment, or anything else.
    struct Line: Equatable {
        var text: String
        /// What is assigned; the value is nil if only a shell could tell it.
        var assignment: (name: String, value: String?)?

        static func == (left: Line, right: Line) -> Bool { left.text == right.text }
    }

    package private(set) var path: String
    private(set) var lines: [Line]
    package private(set) var diagnostics: [Diagnostic]
    /// False if there is no such file yet.
    package private(set) var exists: Bool

    // MARK: reading

    /// The file that the service script would use. Spec: o2cb 3.1.
    package static func load(root: String, source: any ConfigurationSource) -> ServiceSettings {
        for candidate in paths {
            let path = pathBelowRoot(candidate, root: root)
            do throws(SourceError) {
                return ServiceSettings(bytes: try source.read(path), path: path)
            } catch {
                if case .notFound = error { continue }
                var settings = ServiceSettings(bytes: [], path: path)
                settings.diagnostics.append(
                    Diagnostic(.error, .fileUnreadable, ["Can not open '\(path)'.", "\t\(error.reason)"], exitCode: 1))
                return settings
            }
        }
        let isRedHat = !source.glob(pathBelowRoot("/etc/sysconfig", root: root)).isEmpty
        var settings = ServiceSettings(bytes: [], path: pathBelowRoot(paths[isRedHat ? 0 : 1], root: root))
        settings.exists = false
        return settings
    }

    package init(bytes: [UInt8], path: String) {
        self.path = path
        exists = true
        diagnostics = []
        lines = []
        let text = String(decoding: bytes, as: UTF8.self)
        for (index, raw) in text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = String(raw.last == "\r" ? Substring(raw.dropLast()) : Substring(raw))
            lines.append(Line(text: line, assignment: ShellAssignment.parse(line)))
            if let (name, value) = lines[index].assignment, name.hasPrefix("O2CB_"), value == nil {
                diagnostics.append(
                    ClusterFault.diagnostic(
                        .invalidValue, .warning, at: SourceLocation(file: path, line: index + 1, column: 1),
                        found: "\(name) is set to what only a shell can tell", expected: "a plain value",
                        fix: "the usual value holds until it is written out"))
            }
        }
        // Behind the last newline is no line.
        if lines.last?.text == "" { lines.removeLast() }
    }

    /// The value of a variable; nil if it is not set, or empty. The last assignment holds.
    package func value(_ name: String) -> String? {
        guard let line = lines.last(where: { $0.assignment?.name == name }), let value = line.assignment?.value else {
            return nil
        }
        return value.isEmpty ? nil : value
    }

    package var isEnabled: Bool { value("O2CB_ENABLED") == "true" }
    package var stack: String { value("O2CB_STACK") ?? "o2cb" }
    /// The cluster that a start without a name brings online.
    package var bootCluster: String? { value("O2CB_BOOTCLUSTER") }

    /// What the file says of a timer; nil if nothing.
    package func setting(_ timer: Timer) -> Int? {
        value(timer.variable).flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil }
    }

    /// The file's values, and those of the kernel where it says nothing.
    package var timers: ClusterTimers {
        var timers = ClusterTimers.kernel
        for timer in Timer.allCases {
            if let value = setting(timer) { timers[timer] = value }
        }
        return timers
    }

    /// Whether the file leaves all timers to the kernel's defaults: then Yoke may offer its own.
    package var saysNothingOfTimers: Bool { Timer.allCases.allSatisfy { value($0.variable) == nil } }

    /// Faults of the file and of its timers.
    package var problems: [Diagnostic] {
        var problems = diagnostics
        var places: [Timer: SourceLocation] = [:]
        for timer in Timer.allCases {
            guard let index = lines.lastIndex(where: { $0.assignment?.name == timer.variable }) else { continue }
            let place = SourceLocation(file: path, line: index + 1, column: 1)
            places[timer] = place
            if let text = value(timer.variable), setting(timer) == nil {
                problems.append(
                    ClusterFault.diagnostic(
                        .notANumber, at: place, found: "\(timer.variable)=\(text)", expected: "a decimal number",
                        fix: "the usual value is \(ClusterTimers.kernel[timer])"))
            }
        }
        return problems + timers.problems(at: places)
    }

    // MARK: writing

    /// Sets a variable in its line, or behind the last one.
    package mutating func set(_ name: String, to value: String) {
        let assignment = "\(name)=\(ShellAssignment.quoted(value))"
        let found = lines.indices.filter { lines[$0].assignment?.name == name }
        guard let last = found.last else {
            lines.append(Line(text: assignment, assignment: (name, value)))
            return
        }
        let old = lines[last].text
        let indentation = old.prefix { $0 == " " || $0 == "\t" }
        let export = old.dropFirst(indentation.count).hasPrefix("export ") ? "export " : ""
        let comment = ShellAssignment.comment(of: old)
        lines[last] = Line(text: indentation + export + assignment + comment, assignment: (name, value))
    }

    package mutating func set(_ timers: ClusterTimers) {
        for timer in Timer.allCases { set(timer.variable, to: "\(timers[timer])") }
    }

    package var text: String { lines.map { $0.text + "\n" }.joined() }

    package func write() throws(AtomicFile.Failure) {
        try AtomicFile.replace(path, with: text)
    }
}

/// `NAME=value`, with the quoting of a shell.
enum ShellAssignment {
    /// Nil if the line is no assignment. The value is nil if it needs a shell: expansions, an open quote, more words.
    static func parse(_ line: String) -> (name: String, value: String?)? {
        var rest = line.drop { $0 == " " || $0 == "\t" }
        if rest.hasPrefix("export ") { rest = rest.dropFirst(7).drop { $0 == " " || $0 == "\t" } }
        let name = rest.prefix { ($0.isLetter || $0.isNumber || $0 == "_") && $0.isASCII }
        guard let first = name.first, !first.isNumber, rest.dropFirst(name.count).first == "=" else { return nil }
        let (value, tail) = word(rest.dropFirst(name.count + 1))
        let behind = tail.drop { $0 == " " || $0 == "\t" }
        guard behind.isEmpty || behind.first == ";" || (behind.first == "#" && behind.startIndex > tail.startIndex)
        else { return (String(name), nil) }
        return (String(name), value)
    }

    /// One word and what follows it.
    private static func word(_ text: Substring) -> (value: String?, rest: Substring) {
        var value: String? = ""
        var rest = text
        var quote: Character?
        while let character = rest.first {
            if quote == nil, character == " " || character == "\t" || character == ";" { break }
            rest = rest.dropFirst()
            switch (character, quote) {
            case ("'", nil), ("\"", nil): quote = character
            case ("'", "'"), ("\"", "\""): quote = nil
            case ("$", nil), ("$", "\""), ("`", nil), ("`", "\""): value = nil
            case ("\\", nil), ("\\", "\""):
                guard let next = rest.first else { return (nil, rest) }
                rest = rest.dropFirst()
                if quote == "\"", !"\\\"$`".contains(next) { value?.append("\\") }
                value?.append(next)
            default: value?.append(character)
            }
        }
        return (quote == nil ? value : nil, rest)
    }

    /// The comment behind an assignment, with the blanks before it; empty if there is none.
    static func comment(of line: String) -> Substring {
        guard let equals = line.firstIndex(of: "=") else { return "" }
        let (_, rest) = word(line[line.index(after: equals)...])
        return rest.drop { $0 == " " || $0 == "\t" }.first == "#" ? rest : ""
    }

    /// As plain as possible.
    static func quoted(_ value: String) -> String {
        let isPlain = value.allSatisfy { ($0.isLetter || $0.isNumber || "_-./:,+@".contains($0)) && $0.isASCII }
        return isPlain ? value : "'" + value.replacing("'", with: "'\\''") + "'"
    }
}

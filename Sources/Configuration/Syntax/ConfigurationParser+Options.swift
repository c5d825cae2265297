// Sections of options: old names, places and flags become the 8.4 ones while reading. Spec: drbd-config-and-tools 3, 6.

extension ConfigurationParser {
    /// Parses `{ options }` of the section whose keyword was taken.
    func parseOptionSection(_ keyword: Token, _ section: SpelledSection) throws(Stop) -> [OptionEntry] {
        try expect("{")
        var entries: [OptionEntry] = []
        try parseBlock(
            .section, title: section.rawValue, keyword: keyword, expected: "an option",
            isKnown: { OptionTable.meaning(of: $0.text, in: section) != .unknown || $0.text == "plugin" }
        ) { (token: Token) throws(Stop) in
            if let entry = try self.parseOption(token, in: section) {
                self.warnIfRepeated(entry, among: entries, spelled: token)
                entries.append(entry)
            }
        }
        return entries
    }

    /// One option; nil for one that is dropped or was noted as wrong.
    private func parseOption(_ token: Token, in section: SpelledSection) throws(Stop) -> OptionEntry? {
        guard token.kind == .word || token.kind == .integer else {
            throw unexpected(token, expected: "an option")
        }
        switch OptionTable.meaning(of: token.text, in: section) {
        case .unknown:
            if section == .proxy, token.text == "plugin" { return try skipPlugin() }
            let expected = section == .syncer ? "a syncer option keyword" : "an option keyword"
            throw unexpected(
                token, expected: expected, kind: .unknownOption, hints: optionHints(token.text, in: section))
        case .dropped(let takesValue):
            try take()
            if takesValue { try takeValue() }
            try expect(";")
            reportOnce(token, "is obsolete and has no effect")
            return nil
        case .negatedFlag(let option):
            try take()
            try expect(";")
            return entry(option, "no", at: token.location)
        case .option(let option):
            try take()
            return try parseValue(of: option, spelled: token)
        }
    }

    private func skipPlugin() throws(Stop) -> OptionEntry? {
        let keyword = try take()
        try expect("{")
        skipOpenedBlock(keyword.location, what: "this plugin block")
        return nil
    }

    private func parseValue(of option: OptionDescriptor, spelled: Token) throws(Stop) -> OptionEntry? {
        switch option.kind {
        case .flag:
            let token = try peek()
            guard token.isSymbol(";") || token.isWord("yes") || token.isWord("no") else {
                throw unexpected(token, expected: "yes | no | ;")
            }
            if !token.isSymbol(";") { try take() }
            try expect(";")
            return served(entry(option, token.isWord("no") ? "no" : "yes", at: spelled.location), option, spelled)
        case .word:
            try expect(";")
            return entry(option, "", at: spelled.location)
        case .names:
            var names = [try expectString().text]
            while try !peek().isSymbol(";") { names.append(try expectString().text) }
            try expect(";")
            var result = entry(option, names.joined(separator: " "), at: spelled.location)
            result.names = names
            return result
        case .number, .enumeration, .wireProtocol, .text, .resource, .command:
            let value = try takeValue()
            try expect(";")
            return checked(value, of: option, spelled: spelled)
        }
    }

    /// Takes a value: a string, a number, or the bare word `on`. Spec: drbd-config-and-tools 2.
    @discardableResult
    private func takeValue() throws(Stop) -> Token {
        let token = try peek()
        switch token.kind {
        case .quoted, .integer, .ipv4, .ipv6: return try take()
        case .word where !token.isKeyword || ["on", "yes", "no"].contains(token.text): return try take()
        case .word:
            throw unexpected(
                token, expected: "TK_STRING | TK_INTEGER",
                hints: ["'\(token.text)' is a keyword; as a value it needs quotes"])
        case .invalid:
            throw unexpected(
                token, expected: "TK_STRING | TK_INTEGER",
                hints: ["quote a value with other characters than A-Z a-z 0-9 / . _ -"])
        case .symbol, .endOfFile:
            throw unexpected(token, expected: "TK_STRING | TK_INTEGER")
        }
    }

    private func entry(_ option: OptionDescriptor, _ value: String, at location: SourceLocation) -> OptionEntry {
        OptionEntry(section: option.section, name: option.name, value: value, location: location)
    }

    // MARK: Checks

    private func checked(_ value: Token, of option: OptionDescriptor, spelled: Token) -> OptionEntry? {
        do throws(ValueError) {
            let text = try option.checked(value.text)
            return served(entry(option, text, at: spelled.location), option, spelled)
        } catch {
            if case .outOfRange(let number, let range, let unit) = error, option.clampsToRange {
                let clamped = min(max(number, range.lowerBound), range.upperBound)
                warn(
                    .outOfRange,
                    [
                        rangeText(option.name, value, number, range, unit),
                        "\tusing \(clamped)\(unit.letter)",
                    ], at: value.location)
                return entry(option, "\(clamped)\(unit.letter)", at: spelled.location)
            }
            note(valueDiagnostic(error, value: value, option: option))
            return nil
        }
    }

    private func rangeText(
        _ name: String, _ value: Token, _ number: Int64, _ range: ClosedRange<Int64>, _ unit: OptionUnit
    ) -> String {
        "\(value.location.fileAndLine): \(name) \(value.text) => \(number)\(unit.letter) out of range "
            + "[\(range.lowerBound)..\(range.upperBound)]\(unit.letter)."
    }

    /// The classic words for a bad value. Spec: drbd-config-and-tools 9.
    private func valueDiagnostic(
        _ error: ValueError, value: Token, option: OptionDescriptor
    ) -> Diagnostic {
        let place = value.location.fileAndLine
        switch error {
        case .notANumber:
            return Diagnostic(
                .error, .notANumber, ["\(value.shown) is not a valid number"], at: value.location,
                hints: ["'\(option.name)' takes digits, perhaps with one of K M G s behind them"], exitCode: 20)
        case .outOfRange(let number, let range, let unit):
            return Diagnostic(
                .error, .outOfRange, [rangeText(option.name, value, number, range, unit)], at: value.location)
        case .notOneOf(["A", "B", "C"]):
            return Diagnostic(
                .error, .unknownProtocol, ["unknown protocol '\(value.shown)', should be one of A,B,C"],
                at: value.location)
        case .notOneOf(let words):
            return Diagnostic(
                .error, .invalidValue, ["\(place): Option --\(option.name): invalid argument '\(value.shown)'"],
                at: value.location, hints: ["use one of: " + words.joined(separator: ", ")])
        case .notYesOrNo:
            return Diagnostic(
                .error, .invalidValue, ["\(place): Option --\(option.name): invalid argument '\(value.shown)'"],
                at: value.location, hints: ["use yes or no"])
        case .tooLong(let maximum):
            return Diagnostic(
                .error, .invalidValue, ["\(place): Option --\(option.name): the value is too long"],
                at: value.location, hints: ["at most \(maximum) bytes are allowed"])
        }
    }

    /// Says once, by name, that an option asks for something that is not done.
    private func served(_ entry: OptionEntry, _ option: OptionDescriptor, _ spelled: Token) -> OptionEntry {
        switch option.support {
        case .served, .ignored: break
        case .notServed(let why): reportOnce(spelled, "is understood but not served yet: \(why)")
        case .servedOnly(let value, let why):
            if !option.isSame(entry.value, value) {
                reportOnce(spelled, "is understood but not served yet: \(why)", value: entry.value)
            }
        }
        return entry
    }

    func reportOnce(_ token: Token, _ what: String, value: String? = nil) {
        guard reportedOptions.insert(token.text).inserted else { return }
        let subject = value.map { "'\(token.text) \($0)'" } ?? "'\(token.text)'"
        warn(.notServed, ["\(token.location.fileAndLine): WARN: \(subject) \(what)"], at: token.location)
    }

    private func warnIfRepeated(_ entry: OptionEntry, among entries: [OptionEntry], spelled: Token) {
        guard let first = entries.first(where: { $0.name == entry.name && $0.section == entry.section }) else { return }
        warn(
            .duplicateOption,
            ["\(entry.location.fileAndLine): WARN: '\(spelled.text)' is given twice; the last one counts"],
            at: entry.location, hints: ["it was given first at \(first.location.full)"])
    }

    /// Where the option belongs, or what may have been meant.
    private func optionHints(_ name: String, in section: SpelledSection) -> [String] {
        let bare = name.hasPrefix("no-") ? String(name.dropFirst(3)) : name
        for other in OptionSection.allCases where other.rawValue != section.rawValue && other != .proxy {
            if OptionTable.option(bare, in: other) != nil {
                return ["'\(bare)' belongs into the '\(other.rawValue)' section"]
            }
        }
        if bare == "discard-my-data" {
            return ["'discard-my-data' is given for one connect only: drbdadm connect --discard-my-data RESOURCE"]
        }
        let names = OptionTable.all.filter { $0.section.rawValue == section.rawValue }.map(\.name)
        guard let near = names.first(where: { Self.isNear($0, bare) }) else { return [] }
        return ["did you mean '\(near)'?"]
    }

    /// One character more, less or other, or two swapped.
    private static func isNear(_ left: String, _ right: String) -> Bool {
        let first = Array(left.utf8)
        let second = Array(right.utf8)
        guard abs(first.count - second.count) <= 1, max(first.count, second.count) <= 64 else { return false }
        let shorter = min(first.count, second.count)
        let head = (0..<shorter).first { first[$0] != second[$0] } ?? shorter
        let firstRest = first[head...]
        let secondRest = second[head...]
        if first.count == second.count {
            if firstRest.dropFirst() == secondRest.dropFirst() { return true }
            let a = Array(firstRest.prefix(2))
            return a.count == 2 && Array(secondRest.prefix(2)) == [a[1], a[0]]
                && firstRest.dropFirst(2) == secondRest.dropFirst(2)
        }
        return first.count > second.count
            ? firstRest.dropFirst() == secondRest : firstRest == secondRest.dropFirst()
    }
}

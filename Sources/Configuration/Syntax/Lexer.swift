/// Turns the bytes of one file into tokens, one at a time. Spec: drbd-config-and-tools 2.
///
/// A value type without a reference to anything that changes: a copy is a bookmark. Never traps, whatever the bytes.
package struct Lexer: Sendable {
    private let bytes: [UInt8]
    private let file: String
    private var position = 0
    private var line = 1
    private var lineStart = 0
    /// Nothing but blanks was seen in the current line.
    private var atLineStart = true

    /// Characters of a bare word at most.
    static let wordByteCountMax = 128
    /// Bytes between the quotes of a string at most.
    static let quotedByteCountMax = 255

    package init(bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// Where the next byte is.
    package var location: SourceLocation {
        SourceLocation(file: file, line: line, column: position - lineStart + 1)
    }

    /// The next token; at the end ``Token/Kind/endOfFile`` again and again.
    package mutating func next() throws(Diagnostic) -> Token {
        skipBlanks()
        let start = location
        let startsLine = atLineStart
        guard let byte = current else {
            return Token(kind: .endOfFile, text: "", location: start, startsLine: startsLine)
        }
        atLineStart = false
        if byte == UInt8(ascii: "\"") {
            let text = try quoted(from: start)
            return Token(kind: .quoted, text: text, location: start, startsLine: startsLine)
        }
        if let length = ipv6Length() {
            let text = take(length)
            return Token(kind: .ipv6, text: text, location: start, startsLine: startsLine)
        }
        if Self.isSymbol(byte) {
            return Token(kind: .symbol, text: take(1), location: start, startsLine: startsLine)
        }
        guard Self.isWordByte(byte) else {
            return Token(kind: .invalid, text: takeCharacter(), location: start, startsLine: startsLine)
        }
        var end = position
        while end < bytes.count, Self.isWordByte(bytes[end]) { end += 1 }
        let text = take(end - position)
        if text.utf8.count > Self.wordByteCountMax { throw tooLong(text, at: start) }
        return Token(kind: Self.classify(text), text: text, location: start, startsLine: startsLine)
    }

    /// Skips everything up to the `}` that closes a block whose `{` was read; false if the file ends before.
    ///
    /// Braces in comments and in strings that end in their line do not count.
    package mutating func skipBlock() -> Bool {
        var depth = 1
        while true {
            skipBlanks()
            guard let byte = current else { return false }
            atLineStart = false
            switch byte {
            case UInt8(ascii: "{"):
                depth += 1
            case UInt8(ascii: "}"):
                depth -= 1
            case UInt8(ascii: "\""):
                if let end = quoteEnd() { position = end }
            default:
                break
            }
            position += 1
            if depth == 0 { return true }
        }
    }

    /// Skips the rest of the current line, to go on after a string that has no end.
    package mutating func skipLine() {
        while let byte = current, byte != UInt8(ascii: "\n") { position += 1 }
    }

    // MARK: Pieces

    private mutating func skipBlanks() {
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\n"):
                position += 1
                line += 1
                lineStart = position
                atLineStart = true
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"):
                position += 1
            case UInt8(ascii: "#"):
                skipLine()
            default:
                return
            }
        }
    }

    private mutating func take(_ count: Int) -> String {
        let text = String(decoding: bytes[position..<position + count], as: UTF8.self)
        position += count
        return text
    }

    /// One character, or one stray byte shown as the replacement character.
    private mutating func takeCharacter() -> String {
        var end = position + 1
        while end < bytes.count, bytes[end] & 0xc0 == 0x80, bytes[position] & 0xc0 == 0xc0, end - position < 4 {
            end += 1
        }
        return take(end - position)
    }

    private mutating func quoted(from start: SourceLocation) throws(Diagnostic) -> String {
        var content: [UInt8] = []
        var cursor = position + 1
        while cursor < bytes.count {
            var byte = bytes[cursor]
            if byte == UInt8(ascii: "\"") {
                position = cursor + 1
                guard content.count <= Self.quotedByteCountMax else {
                    throw tooLong("\"" + String(decoding: content, as: UTF8.self), at: start)
                }
                guard let text = String(validating: content, as: UTF8.self) else { throw notUTF8(at: start) }
                return text
            }
            if byte == UInt8(ascii: "\\"), cursor + 1 < bytes.count {
                cursor += 1
                byte = bytes[cursor]
            }
            if byte == UInt8(ascii: "\n") { break }
            content.append(byte)
            cursor += 1
        }
        position = cursor
        throw Diagnostic(
            .error, .unterminatedString,
            [
                "\(start.fileAndLine): Unterminated double quoted string", "  we don't allow embedded newlines",
                "  >>>\"\(Token.shortened(String(decoding: content, as: UTF8.self)))...<<<",
            ], at: start, hints: ["close the string with '\"' in the line where it begins"])
    }

    private func notUTF8(at start: SourceLocation) -> Diagnostic {
        Diagnostic(
            .error, .notUTF8, ["\(start.fileAndLine): The string is not UTF-8 text"], at: start,
            hints: ["write the file in UTF-8"])
    }

    /// The offset of the quote that ends the string at the current position in the same line.
    private func quoteEnd() -> Int? {
        var cursor = position + 1
        while cursor < bytes.count, bytes[cursor] != UInt8(ascii: "\n") {
            if bytes[cursor] == UInt8(ascii: "\"") { return cursor }
            cursor += bytes[cursor] == UInt8(ascii: "\\") ? 2 : 1
        }
        return nil
    }

    private func tooLong(_ text: String, at start: SourceLocation) -> Diagnostic {
        let maximum = text.hasPrefix("\"") ? Self.quotedByteCountMax : Self.wordByteCountMax
        return Diagnostic(
            .error, .tokenTooLong,
            ["\(start.fileAndLine): Token too long >>>\(Token.shortened(text))<<<"], at: start,
            hints: ["at most \(maximum) bytes are allowed here"])
    }

    /// The length of an IPv6 address at the current position, with its zone; nil if there is none.
    private func ipv6Length() -> Int? {
        var end = position
        var colons = 0
        while end < bytes.count, end - position <= 45, Self.isIPv6Byte(bytes[end]) {
            if bytes[end] == UInt8(ascii: ":") { colons += 1 }
            end += 1
        }
        guard colons >= 2, IPAddress(String(decoding: bytes[position..<end], as: UTF8.self)) != nil else { return nil }
        guard end < bytes.count, bytes[end] == UInt8(ascii: "%") else {
            // A longer word begins here ("ab::cd-x"); it is no address.
            return end < bytes.count && Self.isWordByte(bytes[end]) ? nil : end - position
        }
        var zoneEnd = end + 1
        while zoneEnd < bytes.count, zoneEnd - end <= 16, Self.isWordByte(bytes[zoneEnd]) { zoneEnd += 1 }
        return zoneEnd == end + 1 ? nil : zoneEnd - position
    }

    private static func isIPv6Byte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: ":"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private static func isSymbol(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: ";"), UInt8(ascii: "["), UInt8(ascii: "]"),
            UInt8(ascii: ":"):
            true
        default: false
        }
    }

    /// The bare set: `A-Z a-z 0-9 / . _ -`.
    package static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func classify(_ text: String) -> Token.Kind {
        var digits = Array(text.utf8)[...]
        if let last = digits.last,
            [UInt8(ascii: "M"), UInt8(ascii: "K"), UInt8(ascii: "G"), UInt8(ascii: "s")]
                .contains(last)
        {
            digits = digits.dropLast()
        }
        let decimal = UInt8(ascii: "0")...UInt8(ascii: "9")
        if (1...8).contains(digits.count), digits.allSatisfy({ decimal.contains($0) }) { return .integer }
        let groups = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let isAddress =
            groups.count == 4
            && groups.allSatisfy { group in
                (1...3).contains(group.count) && group.allSatisfy { decimal.contains($0) }
            }
        return isAddress ? .ipv4 : .word
    }
}

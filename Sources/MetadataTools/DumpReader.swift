/// Reads what `dump-md` prints, for `restore-md` and `verify-dump`. Spec: drbd-config-and-tools 14.2.
struct DumpReader {
    struct Content: Equatable {
        var uuids: [UInt64] = []
        var flags: UInt32 = 0
        var agreedSectors: UInt64 = 0
        var bytesPerBit: UInt32 = 4096
        var deviceUUID: UInt64 = 0
        var peerRequestSizeMax: UInt32 = 0
        var activityLogStripes: UInt32 = 1
        var activityLogStripeBlocks: UInt32 = 8
        /// Words of the bitmap, 64 bits each.
        var bitmap: [UInt64] = []
    }

    struct Failure: Error, Equatable {
        var line: Int
        var expected: String
        var found: String

        var text: String { "Parse error in line \(line): \(expected) expected, but \(found) encountered" }
    }

    private struct Token {
        var text: String
        var line: Int
    }

    /// A bitmap of 1 PiB has this many words; a dump that claims more is refused before memory is used.
    private static let wordCountMax = 1 << 32

    private var tokens: [Token] = []
    private var position = 0

    static func read(_ bytes: [UInt8]) throws(Failure) -> Content {
        var reader = DumpReader(tokensOf: bytes)
        return try reader.content()
    }

    private init(tokensOf bytes: [UInt8]) {
        var line = 1
        for text in String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false) {
            let code = text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)[0]
            var word = ""
            for character in code {
                if "{};".contains(character) || character.isWhitespace {
                    if !word.isEmpty { tokens.append(Token(text: word, line: line)) }
                    word = ""
                    if !character.isWhitespace { tokens.append(Token(text: String(character), line: line)) }
                } else {
                    word.append(character)
                }
            }
            if !word.isEmpty { tokens.append(Token(text: word, line: line)) }
            line += 1
        }
    }

    private mutating func content() throws(Failure) -> Content {
        var content = Content()
        try expect("version")
        try expect("\"v08\"")
        try expect(";")
        while position < tokens.count {
            let keyword = try next("a keyword")
            switch keyword.text {
            case "uuid": try readUUIDs(into: &content)
            case "bm": try readBitmap(into: &content)
            default: try readNumber(keyword, into: &content)
            }
        }
        guard content.uuids.count == 4 else {
            throw Failure(line: tokens.last?.line ?? 1, expected: "keyword 'uuid'", found: "end of file")
        }
        return content
    }

    private mutating func readNumber(_ keyword: Token, into content: inout Content) throws(Failure) {
        let value = try number()
        try expect(";")
        switch keyword.text {
        case "la-size-sect": content.agreedSectors = value
        case "bm-byte-per-bit": content.bytesPerBit = UInt32(truncatingIfNeeded: value)
        case "device-uuid": content.deviceUUID = value
        case "la-peer-max-bio-size": content.peerRequestSizeMax = UInt32(clamping: value)
        case "al-stripes": content.activityLogStripes = UInt32(clamping: value)
        case "al-stripe-size-4k": content.activityLogStripeBlocks = UInt32(clamping: value)
        default:
            throw Failure(line: keyword.line, expected: "a keyword of a dump", found: "'\(keyword.text)'")
        }
    }

    private mutating func readUUIDs(into content: inout Content) throws(Failure) {
        try expect("{")
        for _ in 0..<4 {
            content.uuids.append(try number())
            try expect(";")
        }
        try expect("flags")
        content.flags = UInt32(clamping: try number())
        try expect(";")
        try expect("}")
    }

    private mutating func readBitmap(into content: inout Content) throws(Failure) {
        try expect("{")
        while peek != "}" {
            let first = try number()
            if peek == "times" {
                position += 1
                let word = try number()
                guard first <= UInt64(Self.wordCountMax - content.bitmap.count) else {
                    throw Failure(line: line, expected: "a smaller bitmap", found: "\(first) words")
                }
                content.bitmap.append(contentsOf: repeatElement(word, count: Int(first)))
            } else {
                content.bitmap.append(first)
            }
            try expect(";")
        }
        try expect("}")
    }

    private var peek: String? { position < tokens.count ? tokens[position].text : nil }
    private var line: Int { position < tokens.count ? tokens[position].line : tokens.last?.line ?? 1 }

    private mutating func next(_ expected: String) throws(Failure) -> Token {
        guard position < tokens.count else { throw Failure(line: line, expected: expected, found: "end of file") }
        position += 1
        return tokens[position - 1]
    }

    private mutating func expect(_ text: String) throws(Failure) {
        let expected = text.first!.isLetter ? "keyword '\(text)'" : "'\(text)'"
        let token = try next(expected)
        guard token.text == text else { throw Failure(line: token.line, expected: expected, found: "'\(token.text)'") }
    }

    private mutating func number() throws(Failure) -> UInt64 {
        let token = try next("a number")
        let isHexadecimal = token.text.hasPrefix("0x")
        guard
            let value = UInt64(
                isHexadecimal ? String(token.text.dropFirst(2)) : token.text,
                radix: isHexadecimal ? 16 : 10)
        else { throw Failure(line: token.line, expected: "a number", found: "'\(token.text)'") }
        return value
    }
}

// Blocks in braces: the loop over their items, and what to do when a '}' is missing.

extension ConfigurationParser {
    /// Parses `{`, items, `}`. `expected` is what the classic messages list when an item cannot begin so.
    ///
    /// `item` takes one item whose first token is given and not taken yet; `isKnown` tells a first token that belongs
    /// into this block from one that shows that the block should have ended.
    func parseBlock(
        _ kind: OpenBlock.Kind, title: String, keyword: Token, expected: String, isKnown: (Token) -> Bool,
        item: (Token) throws(Stop) -> Void
    ) throws(Stop) {
        let block = OpenBlock(
            kind: kind, title: title + " {", location: keyword.location, startsLine: keyword.startsLine)
        suspectParent(of: block)
        openBlocks.append(block)
        defer { openBlocks.removeLast() }
        while true {
            guard let token = try? peek() else {
                // A lexical error where an item should begin; it was noted.
                lookahead = nil
                continue
            }
            if token.isSymbol("}") {
                _ = try? take()
                return
            }
            if token.kind == .endOfFile {
                noteEndOfFile(token, expected: expected)
                return
            }
            if !isKnown(token), beginsOuterItem(token) {
                noteUnclosed(token, expected: expected)
                return
            }
            do throws(Stop) {
                try item(token)
            } catch {
                recover(from: token.location)
            }
        }
    }

    /// Remembers that `block`, which begins no further right than the block around it, may stand behind its lost `}`.
    private func suspectParent(of block: OpenBlock) {
        guard let parent = openBlocks.last, parent.suspect == nil, parent.startsLine, block.startsLine,
            parent.location.file == block.location.file, block.location.column <= parent.location.column
        else { return }
        openBlocks[openBlocks.count - 1].suspect = (block.title, block.location)
    }

    private func noteUnclosed(_ token: Token, expected: String) {
        guard let block = openBlocks.last else { return }
        // A section of options says 'an option' at the end of the file, and 'an option keyword' for a wrong one.
        note(
            syntaxError(
                token, expected: block.kind == .section ? "an option keyword" : expected, kind: .unclosedBlock,
                openedAt: block.location,
                hints: [
                    "'\(block.title)' opened at \(block.location.full) is not closed; "
                        + "a '}' is missing before line \(token.location.line)"
                ]))
    }

    private func noteEndOfFile(_ token: Token, expected: String) {
        guard let block = openBlocks.last else { return }
        var hint = "'\(block.title)' opened at \(block.location.full) is not closed at the end of the file"
        if let suspect = block.suspect {
            hint += "; a '}' is probably missing before line \(suspect.location.line), where '\(suspect.title)' begins"
        }
        // A resource may be ended by the end of the file. Spec: drbd-config-and-tools 3.
        if block.kind == .resource, !diagnostics.contains(where: { $0.severity == .error }) {
            warn(
                .endOfFileClosesResource,
                ["\(token.location.fileAndLine): the end of the file ends '\(block.title)'"], at: token.location,
                hints: [hint])
            return
        }
        note(
            syntaxError(
                token, expected: expected, kind: .unclosedBlock, openedAt: block.location, hints: [hint]))
    }

    // MARK: Items of outer blocks

    /// Whether `token`, which cannot begin an item of the innermost block, begins one of a block around it.
    private func beginsOuterItem(_ token: Token) -> Bool {
        guard token.kind == .word else { return false }
        let belongsOutside =
            openBlocks.dropLast().contains { Self.belongs(token.text, to: $0.kind) }
            || Keywords.topLevel.contains(token.text)
        return belongsOutside && hasItemShape(token)
    }

    static func belongs(_ word: String, to kind: OpenBlock.Kind) -> Bool {
        switch kind {
        case .global, .section: false
        case .resource, .common: Keywords.optionSections.contains(word) || resourceItems.contains(word)
        case .host: hostItems.contains(word) || volumeItems.contains(word)
        case .volume: volumeItems.contains(word)
        case .connection: ["host", "path", "net", "disk", "volume", "skip"].contains(word)
        case .path: word == "host"
        case .mesh: word == "hosts" || word == "net"
        }
    }

    static let resourceItems: Set<String> = [
        "protocol", "on", "floating", "stacked-on-top-of", "ignore-on", "volume", "device", "meta-disk",
        "flexible-meta-disk", "connection", "connection-mesh", "template-file", "skip",
    ]
    static let hostItems: Set<String> = [
        "volume", "address", "alternate-link-address", "node-id", "proxy", "options",
    ]
    static let volumeItems: Set<String> = ["device", "disk", "meta-disk", "flexible-meta-disk"]

    /// Whether what follows has the shape of that item, so that a value that happens to be a keyword does not count.
    private func hasItemShape(_ token: Token) -> Bool {
        let ahead = tokensAhead(4)
        guard let next = ahead.first else { return false }
        switch token.text {
        case "disk":
            return next.isSymbol("{") || token.startsLine && !isDeeper(token)
        case "global", "common", "options", "net", "syncer", "startup", "handlers", "connection-mesh", "path":
            return next.isSymbol("{")
        case "on", "resource", "volume", "stacked-on-top-of", "connection", "skip", "proxy":
            guard !next.isSymbol("{") else { return token.text != "on" && token.text != "resource" }
            return (next.kind == .word || next.kind == .quoted || next.kind == .integer)
                && ahead.contains { $0.isSymbol("{") }
        default:
            return token.startsLine && !isDeeper(token)
        }
    }

    /// Whether the token is further right than the first line of the innermost block: then it is a wrong item of it.
    private func isDeeper(_ token: Token) -> Bool {
        guard let block = openBlocks.last, block.startsLine else { return false }
        return token.location.column > block.location.column
    }
}

internal import Configuration

/// A running resource as `drbdsetup show` describes it. Spec: drbd-config-and-tools 11.1.
struct RunningResource: Equatable {
    struct Volume: Equatable {
        var number: Int
        var minor: Int
        /// Nil without a disk.
        var disk: String?
        /// `internal`, or device and index: `/dev/x [3]`.
        var metaDisk: String?
        var diskOptions: [Option] = []
    }

    struct Option: Equatable {
        var name: String
        var value: String
    }

    var name: String
    var options: [Option] = []
    var net: [Option] = []
    /// `ipv4:10.0.0.1:7789`; nil without a connection.
    var ownAddress: String?
    var peerAddress: String?
    var volumes: [Volume] = []

    /// Reads the text; nil if it describes no resource of this name.
    init?(show text: String, name: String) {
        var reader = ShowReader(text)
        self.name = name
        while let word = reader.next() {
            guard word.isWord("resource"), let found = reader.next()?.text, reader.next()?.isSymbol("{") == true else {
                return nil
            }
            guard found == name else {
                guard reader.skipBlock() else { return nil }
                continue
            }
            readResource(&reader)
            return
        }
        return nil
    }

    private mutating func readResource(_ reader: inout ShowReader) {
        while let token = reader.next(), !token.isSymbol("}") {
            guard reader.next()?.isSymbol("{") == true else { return }
            switch token.text {
            case "options": options = reader.options()
            case "net": net = reader.options()
            case "_remote_host": peerAddress = reader.address()
            case "_this_host": readThisHost(&reader)
            default: guard reader.skipBlock() else { return }
            }
        }
    }

    private mutating func readThisHost(_ reader: inout ShowReader) {
        while let token = reader.next(), !token.isSymbol("}") {
            switch token.text {
            case "address": ownAddress = reader.endpoint()
            case "volume":
                guard let number = reader.next().flatMap({ Int($0.text) }), reader.next()?.isSymbol("{") == true else {
                    return
                }
                if let volume = readVolume(number, &reader) { volumes.append(volume) }
            default: reader.skipStatement()
            }
        }
    }

    private func readVolume(_ number: Int, _ reader: inout ShowReader) -> Volume? {
        var volume = Volume(number: number, minor: -1)
        while let token = reader.next(), !token.isSymbol("}") {
            switch token.text {
            case "device":
                volume.minor = reader.statement().compactMap { Int($0) }.last ?? -1
            case "disk":
                let next = reader.next()
                if next?.isSymbol("{") == true {
                    volume.diskOptions = reader.options()
                } else if let next {
                    volume.disk = next.text
                    reader.skipStatement()
                }
            case "meta-disk": volume.metaDisk = reader.statement().joined(separator: " ")
            default: reader.skipStatement()
            }
        }
        return volume.minor >= 0 ? volume : nil
    }
}

/// Tokens of `show`, whose grammar is simpler than the configuration's.
private struct ShowReader {
    private var lexer: Lexer

    init(_ text: String) {
        lexer = Lexer(bytes: Array(text.utf8), file: "drbdsetup show")
    }

    mutating func next() -> Token? {
        guard let token = try? lexer.next(), token.kind != .endOfFile else { return nil }
        return token
    }

    mutating func skipBlock() -> Bool { lexer.skipBlock() }

    /// The words up to `;`, brackets left out.
    mutating func statement() -> [String] {
        var words: [String] = []
        while let token = next(), !token.isSymbol(";"), !token.isSymbol("}") {
            if !token.isSymbol("["), !token.isSymbol("]") { words.append(token.text) }
        }
        return words
    }

    mutating func skipStatement() { _ = statement() }

    /// Options up to `}`.
    mutating func options() -> [RunningResource.Option] {
        var result: [RunningResource.Option] = []
        while let name = next(), !name.isSymbol("}") {
            let words = statement()
            result.append(RunningResource.Option(name: name.text, value: words.first ?? "yes"))
        }
        return result
    }

    /// `FAMILY ADDRESS:PORT;` as an argument of drbdsetup.
    mutating func endpoint() -> String? {
        guard let family = next(), let first = next() else { return nil }
        var text = first.text
        while let token = next(), !token.isSymbol(";") { text += token.text }
        return "\(family.text):\(text)"
    }

    /// A block that holds an address.
    mutating func address() -> String? {
        var result: String?
        while let token = next(), !token.isSymbol("}") {
            if token.isWord("address") {
                result = endpoint()
            } else {
                skipStatement()
            }
        }
        return result
    }
}

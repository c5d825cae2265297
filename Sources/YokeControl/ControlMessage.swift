/// What a client asks of the daemon: run this command with these arguments. One for each connection.
package struct ControlRequest: Codable, Equatable, Sendable {
    /// Raised when an old daemon or client would misunderstand the other.
    package static let currentVersion = 1

    package var version = Self.currentVersion
    /// Name and arguments, for example `["drbdsetup", "primary", "0"]`.
    package var command: [String]
    /// The node that the client was told to speak for (`--node`); nil: whichever the daemon is.
    package var node: String?
    /// Width of the client's terminal; nil when its output is no terminal.
    package var columns: Int?

    package init(command: [String], node: String? = nil, columns: Int? = nil) {
        self.command = command
        self.node = node
        self.columns = columns
    }
}

/// One piece of the answer. The last one is ``exit(_:)``.
package enum ControlReply: Equatable, Sendable {
    case standardOutput(String)
    case standardError(String)
    /// The exit status of the command; the daemon closes the connection after it.
    case exit(Int32)
}

/// On the wire an object with exactly one key: `{"out":"..."}`, `{"err":"..."}` or `{"exit":0}`.
extension ControlReply: Codable {
    private enum Key: String, CodingKey { case out, err, exit }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        if let text = try container.decodeIfPresent(String.self, forKey: .out) {
            self = .standardOutput(text)
        } else if let text = try container.decodeIfPresent(String.self, forKey: .err) {
            self = .standardError(text)
        } else {
            self = .exit(try container.decode(Int32.self, forKey: .exit))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch self {
        case .standardOutput(let text): try container.encode(text, forKey: .out)
        case .standardError(let text): try container.encode(text, forKey: .err)
        case .exit(let status): try container.encode(status, forKey: .exit)
        }
    }
}

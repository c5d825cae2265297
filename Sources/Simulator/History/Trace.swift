/// What happened in a history: always as a hash, which two runs of one seed must share, and on demand as lines.
package final class Trace {
    /// Kinds of lines; part of the hash.
    package enum Kind: UInt64, Sendable {
        case input, action, state, log, packet, request, answer, command, result, fault, host, check
    }

    /// Takes each line; nil: nothing is written.
    package let output: ((String) -> Void)?
    /// FNV-1a over all events.
    package private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    /// Events so far.
    package private(set) var count = 0
    /// Time of the world in nanoseconds.
    package var now: UInt64 = 0

    package init(output: ((String) -> Void)?) {
        self.output = output
    }

    package var isOn: Bool { output != nil }

    /// One event. `host`: 0 or 1, -1 for the world; `first` and `second` tell events of a kind apart.
    package func note(
        _ kind: Kind, host: Int, _ first: UInt64, _ second: UInt64, _ text: @autoclosure () -> String
    ) {
        count += 1
        mix(now)
        mix(kind.rawValue << 8 | UInt64(truncatingIfNeeded: host + 1))
        mix(first)
        mix(second)
        guard let output else { return }
        let name = host < 0 ? " " : host == 0 ? "A" : "B"
        output("\(Self.format(now)) \(name) \(Self.mark(of: kind)) \(text())")
    }

    package func note(_ kind: Kind, host: Int, _ first: UInt64, _ text: @autoclosure () -> String) {
        note(kind, host: host, first, 0, text())
    }

    package func note(_ kind: Kind, host: Int, _ text: @autoclosure () -> String) {
        note(kind, host: host, 0, 0, text())
    }

    private func mix(_ word: UInt64) {
        hash = (hash ^ word) &* 0x0000_0100_0000_01b3
        hash ^= hash >> 32
    }

    private static func mark(of kind: Kind) -> String {
        switch kind {
        case .input: "  <"
        case .action: "  >"
        case .state: "***"
        case .log: "log"
        case .packet: "  ~"
        case .request: "req"
        case .answer: "ans"
        case .command: "cmd"
        case .result: "res"
        case .fault: "!!!"
        case .host: "---"
        case .check: "chk"
        }
    }

    /// Seconds with microseconds, of fixed width.
    package static func format(_ nanoseconds: UInt64) -> String {
        let microseconds = String(nanoseconds / 1000 % 1_000_000)
        let seconds = String(nanoseconds / 1_000_000_000)
        return String(repeating: " ", count: max(0, 4 - seconds.count)) + seconds + "."
            + String(repeating: "0", count: 6 - microseconds.count) + microseconds
    }
}

extension Trace {
    /// A hash of text that is the same in every process.
    static func hash(of text: String) -> UInt64 {
        var result: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { result = (result ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return result
    }
}

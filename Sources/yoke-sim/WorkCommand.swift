import ArgumentParser
import Glibc
import Simulator

/// What each process of a campaign does. Not for people: it says `B seed` before a history and `R` or `F` after it,
/// so that the parent knows which history was under way if this process dies.
struct WorkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "work", shouldDisplay: false)

    @Option var first: UInt64
    @Option var count: Int
    @Option var stride: UInt64
    @Option var fault: String?
    @Option var emphasis: Scenario.Emphasis?

    func run() throws {
        let faults = fault.flatMap { FaultCatalog.find($0) } ?? []
        var marks = CoverageCounts()
        for number in 0..<UInt64(count) {
            let seed = first + number * stride
            say("B \(seed)")
            let outcome = History.run(seed: seed, emphasis: emphasis, plantedFaults: faults)
            if let failure = outcome.failure {
                say("F \(seed) \(failure)")
            } else {
                say("R \(seed) \(outcome.requests) \(outcome.length / 1_000_000)")
            }
            marks.add(outcome.marks)
            if number % 64 == 63 || number == UInt64(count) - 1 {
                say("M " + marks.counts.map(String.init).joined(separator: " "))
                marks = CoverageCounts()
            }
        }
    }

    private func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(1, $0.baseAddress! + written, bytes.count - written) }
            guard count > 0 else { Glibc.exit(1) }
            written += count
        }
    }
}

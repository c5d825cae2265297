import ArgumentParser
import SimulationProcesses
import Simulator

/// What each process of a ``SeedCampaign`` does. Not for people.
struct WorkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "work", shouldDisplay: false)

    @Option var first: UInt64
    @Option var count: Int
    @Option var stride: UInt64
    @Option var fault: String?
    @Option var emphasis: Scenario.Emphasis?

    /// Of a campaign of such processes.
    static func arguments(fault: String?, emphasis: Scenario.Emphasis?) -> [String] {
        ["work"] + (fault.map { ["--fault", $0] } ?? []) + (emphasis.map { ["--emphasis", $0.rawValue] } ?? [])
    }

    func run() throws {
        let faults = fault.flatMap { FaultCatalog.find($0) } ?? []
        var marks = CoverageCounts()
        for number in 0..<UInt64(count) {
            let seed = first + number * stride
            HistoryReport.begin(seed)
            let outcome = History.run(seed: seed, emphasis: emphasis, plantedFaults: faults)
            HistoryReport.end(
                seed, failure: outcome.failure.map { "\($0)" },
                numbers: [outcome.requests, Int(outcome.length / 1_000_000)])
            marks.add(outcome.marks)
            if number % 64 == 63 || number == UInt64(count) - 1 {
                HistoryReport.numbers(marks.counts)
                marks = CoverageCounts()
            }
        }
    }
}

import ArgumentParser
import Glibc
import Simulator

/// `yoke-sim run`: one history, or many.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the history of one seed, or many histories.")

    @Option(help: "Run only the history of this seed.")
    var seed: UInt64?

    @Flag(help: "Print what happens, one line an event (with --seed).")
    var trace = false

    @Option(help: "How many histories to run.")
    var seeds = 1000

    @Option(help: "Seed of the first history; 0 takes one from the clock.")
    var first: UInt64 = 1

    @Option(help: "Processes that run histories.")
    var jobs = 2

    @Option(help: "Stop after this many seconds; 0: when all histories are done.")
    var seconds = 0

    @Option(help: "Stop after this many failing histories.")
    var failuresMax = 5

    @Option(help: ArgumentHelp("Break a rule of the engine on purpose; see `yoke-sim faults`.", valueName: "name"))
    var fault: String?

    @Option(help: "Only histories of a kind: \(Scenario.Emphasis.allCases.map(\.rawValue).joined(separator: ", ")).")
    var emphasis: Scenario.Emphasis?

    @Flag(help: "Print the seeds that reach this situation.")
    var listMarks = false

    func validate() throws {
        guard jobs > 0 else { throw ValidationError("--jobs must be at least 1") }
        guard seeds > 0 else { throw ValidationError("--seeds must be at least 1") }
        if let fault, FaultCatalog.find(fault) == nil {
            throw ValidationError("no fault is called \(fault); there are: \(FaultCatalog.names)")
        }
    }

    func run() throws {
        if let seed { return try runOne(seed) }
        if listMarks { return print(CoverageMark.allCases.map(\.name).joined(separator: "\n")) }
        var campaign = Campaign(
            first: first == 0 ? UInt64(time(nil)) << 16 : first, count: seeds, jobs: jobs, seconds: seconds,
            failuresMax: failuresMax, fault: fault, emphasis: emphasis?.rawValue)
        campaign.announcesFailures = true
        campaign.run()
        campaign.printSummary()
        if !campaign.failures.isEmpty { throw ExitCode(1) }
    }

    /// Without a buffer: when the engine traps, the last lines are those that matter.
    private static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(1, $0.baseAddress, $0.count) }
    }

    private func runOne(_ seed: UInt64) throws {
        let faults = fault.flatMap { FaultCatalog.find($0) } ?? []
        let outcome = History.run(
            seed: seed, emphasis: emphasis, plantedFaults: faults, output: trace ? { Self.say($0) } : nil)
        print(
            "trace hash \(String(outcome.traceHash, radix: 16)), \(outcome.events) events, \(outcome.requests) requests, "
                + "\(outcome.length / 1_000_000_000) s of virtual time")
        if let failure = outcome.failure {
            print("FAILED seed \(seed): \(failure)")
            throw ExitCode(1)
        }
        print("seed \(seed) is good")
    }
}

extension Scenario.Emphasis: ExpressibleByArgument {}

import ArgumentParser
import Glibc
import SimulationProcesses
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
        let first = first == 0 ? UInt64(time(nil)) << 16 : first
        var campaign = SeedCampaign(
            program: "yoke-sim", arguments: WorkCommand.arguments(fault: fault, emphasis: emphasis), first: first,
            count: seeds, jobs: jobs, seconds: seconds, failuresMax: failuresMax)
        campaign.onFailure = { failure in
            print("FAILED seed \(failure.seed): \(failure.text)")
            let options = (emphasis.map { " --emphasis \($0.rawValue)" } ?? "") + (fault.map { " --fault \($0)" } ?? "")
            print("  replay: yoke-sim run --seed \(failure.seed) --trace\(options)")
            fflush(nil)
        }
        var marks = CoverageCounts()
        campaign.onNumbers = { numbers in
            for (mark, number) in zip(CoverageMark.allCases, numbers) { marks.add(number, of: mark) }
        }
        campaign.run()
        printSummary(campaign, marks, first)
        if !campaign.failures.isEmpty { throw ExitCode(1) }
    }

    private func printSummary(_ campaign: SeedCampaign, _ marks: CoverageCounts, _ first: UInt64) {
        let rate = campaign.elapsed > 0 ? Double(campaign.histories) / campaign.elapsed : 0
        let reached = CoverageMark.allCases.filter { marks[$0] > 0 }
        let missing = CoverageMark.allCases.filter { marks[$0] == 0 }
        print("situations reached: " + reached.map { "\($0.name) \(marks[$0])" }.joined(separator: ", "))
        if !missing.isEmpty { print("never reached: " + missing.map(\.name).joined(separator: ", ")) }
        // None, when no history ended well.
        let (requests, virtualMilliseconds) = campaign.sums.count == 2 ? (campaign.sums[0], campaign.sums[1]) : (0, 0)
        print(
            "\(campaign.histories) histories from seed \(first) in \(Int(campaign.elapsed)) s (\(Int(rate)) a second, "
                + "\(campaign.jobs) processes), \(requests) requests, "
                + "\(virtualMilliseconds / 3_600_000) hours of virtual time, \(campaign.failures.count) failed")
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

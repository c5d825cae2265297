import ArgumentParser
import Glibc
import SimulationProcesses

/// `yoke-cluster-sim run locks --first 1 --count 20000 --jobs 2`, or one history with a trace.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run histories of locks, of members, or of a volume that several hosts have mounted.",
        discussion: "Prints the seeds that fail, how to replay them, and sums of what happened.")

    @Argument(help: "locks, members or volumes.")
    var kind = HistoryKind.locks

    @Option(help: "The first seed.")
    var first: UInt64 = 1

    @Option(help: "How many histories.")
    var count = 1000

    @Option(help: "Processes that run histories.")
    var jobs = 2

    @Option(help: "Failures after which to stop.")
    var failuresMax = 20

    @Option(help: "Operations of each host of a volume.")
    var steps = 60

    @Option(help: ArgumentHelp("Break this rule.", valueName: "name"))
    var fault: String?

    @Flag(help: "Run the first seed alone and print a line for each event.")
    var trace = false

    func validate() throws {
        guard jobs > 0, count > 0 else { throw ValidationError("--jobs and --count must be at least 1") }
        if let fault, FaultCatalog.find(fault) == nil {
            throw ValidationError("no fault is called \(fault); there are: \(FaultCatalog.names)")
        }
    }

    func run() throws {
        if trace { return try runOne() }
        var arguments = ["work", kind.rawValue, "--steps", String(steps)]
        if let fault { arguments += ["--fault", fault] }
        var campaign = SeedCampaign(
            program: "yoke-cluster-sim", arguments: arguments, first: first, count: count, jobs: jobs,
            failuresMax: failuresMax)
        campaign.onFailure = { failure in
            print("FAILED seed \(failure.seed): \(failure.text.prefix(600))")
            let options = (fault.map { " --fault \($0)" } ?? "") + (kind == .volumes ? " --steps \(steps)" : "")
            print("  replay: yoke-cluster-sim run \(kind.rawValue) --first \(failure.seed) --trace\(options)")
            fflush(nil)
        }
        campaign.run()
        let sums = zip(kind.numberNames, campaign.sums).map { "\($1) \($0)" }.joined(separator: ", ")
        let rate = campaign.elapsed > 0 ? Int(Double(campaign.histories) / campaign.elapsed) : 0
        print(
            "\(campaign.histories) histories of \(kind.rawValue) from seed \(first) in \(Int(campaign.elapsed)) s "
                + "(\(rate) a second, \(jobs) processes), \(sums), \(campaign.failures.count) failed")
        if !campaign.failures.isEmpty { throw ExitCode(1) }
    }

    private func runOne() throws {
        let result = kind.run(first, fault.flatMap(FaultCatalog.find), steps: steps) {
            print($0)
            // Of a history that traps the last line matters most.
            fflush(nil)
        }
        print(zip(kind.numberNames, result.numbers).map { "\($1) \($0)" }.joined(separator: ", "))
        guard let failure = result.failure else { return }
        print("FAILED seed \(first): \(failure)")
        throw ExitCode(1)
    }
}

/// What each process of a campaign does. Not for people.
struct WorkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "work", shouldDisplay: false)

    @Argument var kind: HistoryKind
    @Option var first: UInt64
    @Option var count: Int
    @Option var stride: UInt64
    @Option var steps = 60
    @Option var fault: String?

    func run() throws {
        let entry = fault.flatMap(FaultCatalog.find)
        for number in 0..<UInt64(count) {
            let seed = first + number * stride
            HistoryReport.begin(seed)
            let result = kind.run(seed, entry, steps: steps)
            HistoryReport.end(seed, failure: result.failure, numbers: result.numbers)
        }
    }
}

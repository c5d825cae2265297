import ArgumentParser
import Simulator

/// `yoke-sim faults`: shows that each rule broken on purpose is noticed.
struct FaultsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "faults",
        abstract: "Break the rules of the engine one by one and run histories until each is caught.")

    @Option(help: "Histories for each fault at most.")
    var seeds = 2000

    @Option(help: "Seed of the first history.")
    var first: UInt64 = 1

    @Option(help: "Processes that run histories.")
    var jobs = 2

    @Option(help: ArgumentHelp("Only this fault.", valueName: "name"))
    var only: String?

    func run() throws {
        var missed = 0
        for fault in FaultCatalog.all where only == nil || only == fault.name {
            if !isCaught(fault) { missed += 1 }
        }
        if missed > 0 { throw ExitCode(1) }
    }

    /// A seed that fails without the fault too shows nothing, and the search goes on behind it.
    private func isCaught(_ fault: FaultCatalog.Entry) -> Bool {
        var next = first
        var histories = 0
        while histories < seeds {
            var campaign = Campaign(
                first: next, count: seeds - histories, jobs: jobs, seconds: 0, failuresMax: 1, fault: fault.name)
            campaign.run()
            histories += campaign.histories
            guard let failure = campaign.failures.first else { break }
            if failsAnyway(failure.seed) {
                print("\(fault.name): seed \(failure.seed) fails without it too")
                next = failure.seed + 1
                continue
            }
            print(
                "\(fault.name): caught by seed \(failure.seed) after \(histories) histories: \(failure.text)")
            return true
        }
        print("\(fault.name): NOT caught by \(histories) histories")
        return false
    }

    private func failsAnyway(_ seed: UInt64) -> Bool {
        var campaign = Campaign(first: seed, count: 1, jobs: 1, seconds: 0, failuresMax: 1, fault: nil)
        campaign.run()
        return !campaign.failures.isEmpty
    }
}

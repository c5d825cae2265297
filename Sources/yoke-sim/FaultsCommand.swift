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
            var campaign = Campaign(
                first: first, count: seeds, jobs: jobs, seconds: 0, failuresMax: 1, fault: fault.name)
            campaign.run()
            if let failure = campaign.failures.first {
                print(
                    "\(fault.name): caught by seed \(failure.seed) after \(campaign.histories) histories: \(failure.text)"
                )
            } else {
                missed += 1
                print("\(fault.name): NOT caught by \(campaign.histories) histories")
            }
        }
        if missed > 0 { throw ExitCode(1) }
    }
}

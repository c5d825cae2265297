import ArgumentParser
import Glibc
import SimulationProcesses

/// `yoke-cluster-sim faults`: shows that rules broken on purpose are noticed.
struct FaultsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "faults",
        abstract: "Break the rules of the cluster one by one and run histories until each is caught.",
        discussion: "Prints one line for each rule. Fails when one of them was not caught.")

    @Option(help: "Histories for each fault at most.")
    var seeds = 2000

    @Option(help: "Seconds for each fault at most.")
    var seconds = 60

    @Option(help: "Seed of the first history.")
    var first: UInt64 = 1

    @Option(help: "Processes that run histories.")
    var jobs = 2

    @Option(help: "Operations of each host of a volume.")
    var steps = 60

    @Option(help: ArgumentHelp("Only this fault.", valueName: "name"))
    var only: String?

    @Flag(help: "Leave out the faults that need the volume tools.")
    var withoutVolumes = false

    func validate() throws {
        guard jobs > 0, seeds > 0 else { throw ValidationError("--jobs and --seeds must be at least 1") }
        if let only, FaultCatalog.find(only) == nil {
            throw ValidationError("no fault is called \(only); there are: \(FaultCatalog.names)")
        }
    }

    func run() throws {
        let faults = FaultCatalog.all.filter {
            (only == nil || only == $0.name) && !(withoutVolumes && $0.kind == .volumes)
        }
        let width = faults.map(\.name.count).max() ?? 0
        var caught = 0
        for fault in faults {
            let search = look(for: fault)
            let name = fault.name + String(repeating: " ", count: width - fault.name.count)
            let count = String(search.histories)
            let histories = String(repeating: " ", count: max(0, 5 - count.count)) + count
            if let failure = search.failure {
                caught += 1
                print("\(name)  caught by \(histories) histories, seed \(failure.seed): \(failure.text.prefix(140))")
            } else {
                print("\(name)  MISSED by \(histories) histories")
            }
            fflush(nil)
        }
        print("\(caught) of \(faults.count) faults caught")
        if caught < faults.count { throw ExitCode(1) }
    }

    private struct Search {
        var histories = 0
        var failure: SeedCampaign.Failure?
    }

    /// A seed that fails without the fault too shows nothing, and the search goes on behind it.
    private func look(for fault: FaultCatalog.Entry) -> Search {
        var search = Search()
        var next = first
        var secondsLeft = seconds
        while search.histories < seeds, secondsLeft > 0 {
            var campaign = SeedCampaign(
                program: "yoke-cluster-sim", arguments: arguments(fault, isPlanted: true), first: next,
                count: seeds - search.histories, jobs: jobs, seconds: secondsLeft, failuresMax: 1)
            campaign.run()
            search.histories += campaign.histories
            secondsLeft -= Int(campaign.elapsed)
            guard let failure = campaign.failures.first else { break }
            guard failsAnyway(failure.seed, fault) else {
                search.failure = failure
                break
            }
            print("\(fault.name): seed \(failure.seed) fails without it too")
            next = failure.seed + 1
        }
        return search
    }

    private func arguments(_ fault: FaultCatalog.Entry, isPlanted: Bool) -> [String] {
        let all = ["work", fault.kind.rawValue, "--steps", String(steps)]
        return isPlanted ? all + ["--fault", fault.name] : all
    }

    private func failsAnyway(_ seed: UInt64, _ fault: FaultCatalog.Entry) -> Bool {
        var campaign = SeedCampaign(
            program: "yoke-cluster-sim", arguments: arguments(fault, isPlanted: false), first: seed, count: 1, jobs: 1,
            failuresMax: 1)
        campaign.run()
        return !campaign.failures.isEmpty
    }
}

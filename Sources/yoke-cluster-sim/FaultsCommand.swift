import ArgumentParser
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
        let search = FaultSearch(
            program: "yoke-cluster-sim", first: first, histories: seeds, seconds: seconds, jobs: jobs)
        let caught = search.run(
            faults.map { fault in
                let sound = ["work", fault.kind.rawValue, "--steps", String(steps)]
                return .init(name: fault.name, planted: sound + ["--fault", fault.name], sound: sound)
            })
        if caught < faults.count { throw ExitCode(1) }
    }
}

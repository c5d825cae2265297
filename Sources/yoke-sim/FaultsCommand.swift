import ArgumentParser
import SimulationProcesses
import Simulator

/// `yoke-sim faults`: shows that rules broken on purpose are noticed.
struct FaultsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "faults",
        abstract: "Break the rules of the engine one by one and run histories until each is caught.",
        discussion: "Prints one line for each rule. Fails when more than --missed-max of them were not caught.")

    @Option(help: "Histories for each fault at most.")
    var seeds = 3000

    @Option(help: "Seconds for each fault at most.")
    var seconds = 90

    @Option(help: "Seed of the first history.")
    var first: UInt64 = 1

    @Option(help: "Processes that run histories.")
    var jobs = 2

    @Option(help: "Faults that may stay unnoticed.")
    var missedMax = 0

    @Option(help: ArgumentHelp("Only this fault.", valueName: "name"))
    var only: String?

    func validate() throws {
        guard jobs > 0 else { throw ValidationError("--jobs must be at least 1") }
        guard seeds > 0 else { throw ValidationError("--seeds must be at least 1") }
        if let only, FaultCatalog.find(only) == nil {
            throw ValidationError("no fault is called \(only); there are: \(FaultCatalog.names)")
        }
    }

    func run() throws {
        let faults = FaultCatalog.all.filter { only == nil || only == $0.name }
        let search = FaultSearch(program: "yoke-sim", first: first, histories: seeds, seconds: seconds, jobs: jobs)
        let caught = search.run(
            faults.map { fault in
                .init(
                    name: fault.name,
                    planted: WorkCommand.arguments(fault: fault.name, emphasis: fault.emphasis),
                    sound: WorkCommand.arguments(fault: nil, emphasis: fault.emphasis))
            })
        if faults.count - caught > missedMax { throw ExitCode(1) }
    }
}

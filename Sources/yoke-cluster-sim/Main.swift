import ArgumentParser
import ClusterSimulation
import Glibc
import LockSimulation

@main
struct ClusterSimulator: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "yoke-cluster-sim", abstract: "Simulate clusters by seed.",
        subcommands: [LockHistories.self, VolumeHistories.self], defaultSubcommand: LockHistories.self)
}

/// Volumes that several hosts have mounted: `yoke-cluster-sim volumes --first 1 --count 100`.
struct VolumeHistories: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volumes", abstract: "A volume mounted by 2 or 3 hosts, with deaths.")

    @Option(help: "The first seed.")
    var first: UInt64 = 1

    @Option(help: "How many histories.")
    var count: UInt64 = 100

    @Option(help: "Operations of each host.")
    var steps = 150

    @Flag(help: "Nobody dies.")
    var peaceful = false

    @Flag(help: "Print a line for each operation and message.")
    var trace = false

    func run() throws {
        var (failed, steps, deaths) = (0, 0, 0)
        var options = ClusterHistory.Options()
        options.stepCount = self.steps
        options.withDeath = !peaceful
        for seed in first..<first + count {
            let outcome = ClusterHistory.run(seed: seed, options, trace: trace ? { print($0) } : nil)
            steps += outcome.steps
            deaths += outcome.hasDeath ? 1 : 0
            guard let failure = outcome.failure else { continue }
            failed += 1
            print("FAILED seed \(seed), step \(outcome.steps): \(failure)")
            fflush(nil)
        }
        print("\(count) histories from seed \(first), \(steps) steps, \(deaths) deaths, \(failed) failed")
        if failed > 0 { throw ExitCode(1) }
    }
}

/// Histories of lock domains by seed: `yoke-cluster-sim --first 1 --count 1000`, or one with a trace.
struct LockHistories: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "locks", abstract: "Lock domains of 2 to 5 hosts with deaths.")

    @Option(help: "The first seed.")
    var first: UInt64 = 1

    @Option(help: "How many histories.")
    var count: UInt64 = 1000

    @Option(help: "Take every Nth seed: for several processes side by side.")
    var stride: UInt64 = 1

    @Flag(help: "Print a line for each message.")
    var trace = false

    func run() throws {
        var failed = 0
        var grants = 0
        for index in 0..<count {
            let seed = first + index * stride
            let outcome = LockHistory.run(seed: seed, trace: trace ? { print($0) } : nil)
            grants += outcome.grants
            guard !outcome.violations.isEmpty else { continue }
            failed += 1
            defer { fflush(nil) }
            print("FAILED seed \(seed): \(outcome.violations.prefix(3).joined(separator: "; "))")
            print("  replay: yoke-cluster-sim --first \(seed) --count 1 --trace")
        }
        print("\(count) histories from seed \(first), \(grants) grants, \(failed) failed")
        if failed > 0 { throw ExitCode(1) }
    }
}

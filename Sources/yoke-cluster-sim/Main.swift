import ArgumentParser
import Glibc
import LockSimulation

/// Histories of lock domains by seed: `yoke-cluster-sim --first 1 --count 1000`, or one with a trace.
@main
struct ClusterSimulation: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "yoke-cluster-sim", abstract: "Simulate lock domains of 2 to 5 hosts with deaths, by seed.")

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

import ArgumentParser
import ClusterSimulation
import LockSimulation

/// The kinds of histories, run by name.
enum HistoryKind: String, ExpressibleByArgument, CaseIterable {
    /// Lock domains of 2 to 5 hosts; deaths are made known to them.
    case locks
    /// Heartbeat, o2net, quorum and lock domains together: who lives must be found out.
    case members
    /// A volume that 2 or 3 hosts have mounted.
    case volumes

    struct Result {
        var failure: String?
        /// As ``numberNames``.
        var numbers: [Int]
    }

    var numberNames: [String] {
        switch self {
        case .locks: ["grants", "messages", "deaths", "virtual ms", "events"]
        case .members: ["grants", "fences", "deaths", "virtual ms", "events"]
        case .volumes: ["steps", "messages", "deaths"]
        }
    }

    func run(_ seed: UInt64, _ fault: FaultCatalog.Entry?, steps: Int, trace: ((String) -> Void)? = nil) -> Result {
        switch self {
        case .locks:
            let outcome = LockHistory.run(seed: seed, plantedFaults: fault?.locks ?? [], trace: trace)
            return Result(
                failure: Self.text(outcome.violations),
                numbers: [
                    outcome.grants, outcome.messages, outcome.deaths, outcome.virtualMilliseconds, Int(outcome.events),
                ])
        case .members:
            let outcome = MemberHistory.run(seed: seed, plantedFaults: fault?.members ?? MemberFaults(), trace: trace)
            return Result(
                failure: Self.text(outcome.violations),
                numbers: [
                    outcome.grants, outcome.fences, outcome.deaths, outcome.virtualMilliseconds, Int(outcome.events),
                ])
        case .volumes:
            var options = ClusterHistory.Options()
            options.stepCount = steps
            options.plantedFaults = fault?.volumes ?? []
            let outcome = ClusterHistory.run(seed: seed, options, trace: trace)
            return Result(
                failure: outcome.failure.map { "step \(outcome.steps): \($0)" },
                numbers: [outcome.steps, outcome.messages, outcome.hasDeath ? 1 : 0])
        }
    }

    private static func text(_ violations: [String]) -> String? {
        violations.isEmpty ? nil : violations.prefix(3).joined(separator: "; ")
    }
}

package import Replication

/// One history from beginning to end.
package enum History {
    /// What came out of it.
    package struct Outcome: Sendable {
        package var seed: UInt64
        /// Nil: nothing was found.
        package var failure: String?
        /// Equal for equal histories, in any process.
        package var traceHash: UInt64
        package var events: Int
        package var requests: Int
        /// Virtual nanoseconds.
        package var length: UInt64
        package var marks: CoverageCounts
    }

    /// Runs the history of a seed.
    package static func run(
        seed: UInt64, emphasis: Scenario.Emphasis? = nil, plantedFaults: PlantedFaults = [],
        output: ((String) -> Void)? = nil
    ) -> Outcome {
        run(Scenario(seed: seed, emphasis: emphasis), plantedFaults: plantedFaults, output: output)
    }

    /// Runs a history that was made by hand.
    package static func run(
        _ scenario: Scenario, plantedFaults: PlantedFaults = [], output: ((String) -> Void)? = nil
    ) -> Outcome {
        let world = World(scenario: scenario, plantedFaults: plantedFaults, output: output)
        world.run()
        return Outcome(
            seed: scenario.seed, failure: world.failure.map { "at \(Trace.format(world.now)) s: \($0)" },
            traceHash: world.trace.hash, events: world.trace.count, requests: world.requests.count,
            length: world.now, marks: world.marks)
    }
}

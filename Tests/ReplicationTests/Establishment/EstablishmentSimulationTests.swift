import EngineKit
import Testing

@testable import Replication

/// Two hosts against each other until they agree. Spec: drbd-wire 2.3, 2.4.
struct EstablishmentSimulationTests {
    private struct Outcome {
        var times: [Duration] = []
        var crossed = 0

        /// The time within which this part of the runs was connected.
        func time(ofPart part: Double) -> Duration { times.sorted()[Int(Double(times.count - 1) * part)] }
    }

    private func run(seeds: Range<UInt64>, limit: Duration, _ hosts: () -> [any SimulatedHost]) -> Outcome {
        var outcome = Outcome()
        for seed in seeds {
            let network = SimulatedNetwork(seed: seed, hosts())
            guard let (connections, time) = network.run(limit: limit) else {
                Issue.record("seed \(seed): no connection\n\(network.trace.suffix(60).joined(separator: "\n"))")
                return outcome
            }
            outcome.times.append(time)
            if network.trace.contains(where: { $0.contains("crossed") }) { outcome.crossed += 1 }
            let (a, b) = (connections[0], connections[1])
            let trace = network.trace.suffix(40).joined(separator: "\n")
            #expect(a.resolveConflicts != b.resolveConflicts, "seed \(seed)\n\(trace)")
            #expect(a.resolveConflicts == !a.meta.isClient, "who accepted the meta socket holds the flag; seed \(seed)")
        }
        return outcome
    }

    @Test("two of us agree on two sockets and one holder of the flag, also when everything crosses")
    func twoOfUs() {
        let outcome = run(seeds: 0..<4000, limit: .seconds(60)) { [YokeHost(), YokeHost()] }
        #expect(outcome.crossed > 200, "crossing is part of the test: \(outcome.crossed)")
        #expect(outcome.time(ofPart: 0.5) < .seconds(4))
        #expect(outcome.time(ofPart: 0.99) < .seconds(20))
    }

    @Test("one of us and one that follows the text to the letter agree", arguments: [true, false])
    func withKernel(kernelFirst: Bool) {
        let outcome = run(seeds: 10000..<12000, limit: .seconds(180)) {
            kernelFirst ? [KernelHost(), YokeHost()] : [YokeHost(), KernelHost()]
        }
        #expect(outcome.time(ofPart: 0.5) < .seconds(15))
    }

    @Test("two that follow the text to the letter agree: the model of the kernel is sound")
    func twoKernels() {
        let outcome = run(seeds: 20000..<20500, limit: .seconds(600)) { [KernelHost(), KernelHost()] }
        #expect(outcome.times.count == 500)
    }
}

internal import EngineKit
internal import EngineSimulation
internal import LockManager
internal import O2Layout

/// One simulated life of a cluster, drawn from a seed: joins, work, deaths, leaving, returns.
package struct LockHistory {
    package struct Outcome: Sendable {
        package var seed: UInt64
        package var violations: [String] = []
        package var grants = 0
        package var messages = 0
    }

    /// - Parameter trace: gets one line for each message and incident.
    package static func run(seed: UInt64, trace: ((String) -> Void)? = nil) -> Outcome {
        let random = SeededRandom(seed: seed &* 0x9e37_79b9_7f4a_7c15)
        let nodeCount = UInt8(2 + random.next(below: 4))
        let cluster = SimulatedCluster(seed: seed, nodeCount: nodeCount)
        cluster.latencyMax = .microseconds(Int64(100 + random.next(below: 5000)))
        cluster.detectionMax = .milliseconds(Int64(100 + random.next(below: 4000)))
        let workload = LockWorkload(cluster: cluster, nameCount: Int(1 + random.next(below: 6)))
        cluster.trace = trace
        var outcome = Outcome(seed: seed)
        let environment = cluster.environment

        func start(_ node: NodeNumber) {
            let host = cluster.boot(node)
            environment.spawn {
                do throws(JoinError) {
                    try await host.domain.join()
                } catch {
                    outcome.violations.append("node \(node) cannot join: \(error)")
                    return
                }
                for _ in 0..<2 { workload.startUser(on: host) }
            }
        }

        for node in 0..<nodeCount {
            let node = NodeNumber(integerLiteral: node)
            environment.call(at: environment.now + .milliseconds(Int64(random.next(below: 800)))) { start(node) }
        }
        let incidents = random.next(below: 4)
        for _ in 0..<incidents {
            let at = environment.now + .milliseconds(Int64(1000 + random.next(below: 6000)))
            let pick = random.next(below: 16)
            let returns = random.next(below: 2) == 0
            environment.call(at: at) {
                let live = Array(cluster.live)
                guard live.count > 1 else { return }
                let victim = live[Int(pick) % live.count]
                guard cluster.hosts[victim]?.domain.phase == .joined else { return }
                cluster.kill(victim)
                guard returns else { return }
                environment.call(at: environment.now + .seconds(6)) {
                    guard cluster.hosts[victim]?.isDead == true else { return }
                    start(victim)
                }
            }
        }
        environment.run(limit: .seconds(16))
        workload.isEnding = true
        let hasEnded = environment.run(limit: .seconds(120)) {
            workload.runningUsers == 0 || areAllDead(cluster, workload)
        }
        if !hasEnded {
            outcome.violations.append("users are stuck")
            for node in cluster.live { cluster.hosts[node]?.domain.listing().forEach { trace?("node \(node): \($0)") } }
        }
        // One after the other leaves; what it masters goes to the others.
        for node in cluster.live {
            guard let host = cluster.hosts[node], host.domain.phase == .joined else { continue }
            environment.spawn { await host.domain.leave() }
        }
        let haveLeft = environment.run(limit: .seconds(200)) {
            cluster.live.allSatisfy { cluster.hosts[$0]?.domain.phase == .left }
        }
        if !haveLeft, outcome.violations.isEmpty { outcome.violations.append("somebody cannot leave") }
        outcome.violations += workload.violations.map(\.what)
        outcome.grants = workload.grantCount
        outcome.messages = cluster.messageCount
        return outcome
    }

    private static func areAllDead(_ cluster: SimulatedCluster, _ workload: LockWorkload) -> Bool {
        cluster.live.isEmpty
    }
}

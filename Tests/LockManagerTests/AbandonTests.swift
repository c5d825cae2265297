import EngineKit
import EngineSimulation
import LockManager
import LockSimulation
import O2Layout
import Testing

@Suite("the end of membership")
struct AbandonTests {
    private func three() throws -> (SimulatedCluster, [SimulatedHost]) {
        let cluster = SimulatedCluster(seed: 3, nodeCount: 3)
        let hosts = [cluster.boot(0), cluster.boot(1), cluster.boot(2)]
        for host in hosts {
            try cluster.environment.wait { () async throws(JoinError) in try await host.domain.join() }
        }
        return (cluster, hosts)
    }

    @Test("leaving ends when membership ends in the middle of it")
    func leaving() throws {
        let (cluster, hosts) = try three()
        // A lock that is never given back keeps the leaver waiting.
        let lock = DomainLock(name: ResourceName("x"), usesValue: false) { _ in }
        try cluster.environment.wait { () async throws(LockRequestError) in
            try await hosts[0].domain.lock(lock, .exclusive)
        }
        var hasEnded = false
        cluster.environment.spawn {
            await hosts[0].domain.leave()
            hasEnded = true
        }
        cluster.environment.run(limit: .seconds(2))
        #expect(!hasEnded)
        cluster.fence(0)
        #expect(cluster.environment.run(limit: .seconds(2)) { hasEnded })
    }

    @Test("a request that looks for a master ends with an error")
    func mastery() throws {
        let (cluster, hosts) = try three()
        cluster.cut(0, 1, for: .seconds(100))
        let lock = DomainLock(name: ResourceName("x"), usesValue: false) { _ in }
        var error: LockRequestError?
        cluster.environment.spawn {
            do throws(LockRequestError) {
                try await hosts[0].domain.lock(lock, .exclusive)
            } catch let failure {
                error = failure
            }
        }
        cluster.environment.run(limit: .seconds(1))
        #expect(error == nil)
        cluster.fence(0)
        #expect(cluster.environment.run(limit: .seconds(2)) { error == .leaving })
    }

    @Test("a join ends with an error")
    func joining() throws {
        let cluster = SimulatedCluster(seed: 3, nodeCount: 2)
        let (a, b) = (cluster.boot(0), cluster.boot(1))
        try cluster.environment.wait { () async throws(JoinError) in try await a.domain.join() }
        cluster.cut(0, 1, for: .seconds(100))
        var error: JoinError?
        cluster.environment.spawn {
            do throws(JoinError) { try await b.domain.join() } catch let failure { error = failure }
        }
        cluster.environment.run(limit: .seconds(1))
        #expect(error == nil)
        cluster.fence(1)
        #expect(cluster.environment.run(limit: .seconds(2)) { error == .timedOut })
    }
}

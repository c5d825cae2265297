import EngineKit
import EngineSimulation
import LockManager
import LockSimulation
import O2Layout
import Testing

@Suite("lock domain")
struct LockDomainTests {
    @Test("one node founds a domain, a second joins; locks pass between them with their value")
    func twoNodes() throws {
        let cluster = SimulatedCluster(seed: 1, nodeCount: 2)
        let a = cluster.boot(0)
        let b = cluster.boot(1)
        try cluster.environment.wait { () async throws(JoinError) in try await a.domain.join() }
        try cluster.environment.wait { () async throws(JoinError) in try await b.domain.join() }
        #expect(a.domain.members == [0, 1] && b.domain.members == [0, 1])
        let name = ResourceName("M000000000000000000922600000000")
        var asked: [LockMode] = []
        let atA = DomainLock(name: name, usesValue: true) { asked.append($0) }
        let atB = DomainLock(name: name, usesValue: true) { _ in }
        try cluster.environment.wait { () async throws(LockRequestError) in try await a.domain.lock(atA, .exclusive) }
        #expect(throws: LockRequestError.wouldWait) {
            try cluster.environment.wait { () async throws(LockRequestError) in
                try await b.domain.lock(atB, .protectedRead, mayWait: false)
            }
        }
        var isGranted = false
        cluster.environment.spawn {
            try? await b.domain.lock(atB, .protectedRead)
            isGranted = true
        }
        cluster.environment.run(limit: .seconds(1)) { !asked.isEmpty }
        #expect(asked == [.protectedRead] && !isGranted)
        atA.value = ValueBlock(bytes: Array(1...64))
        try cluster.environment.wait { () async throws(LockRequestError) in
            try await a.domain.lock(atA, .protectedRead)
        }
        cluster.environment.run(limit: .seconds(1)) { isGranted }
        #expect(isGranted && atB.value == ValueBlock(bytes: Array(1...64)))
    }

    @Test("a request that waits can be taken back")
    func cancel() throws {
        let cluster = SimulatedCluster(seed: 2, nodeCount: 2)
        let a = cluster.boot(0)
        let b = cluster.boot(1)
        try cluster.environment.wait { () async throws(JoinError) in try await a.domain.join() }
        try cluster.environment.wait { () async throws(JoinError) in try await b.domain.join() }
        let name = ResourceName("x")
        let atA = DomainLock(name: name, usesValue: false) { _ in }
        let atB = DomainLock(name: name, usesValue: false) { _ in }
        try cluster.environment.wait { () async throws(LockRequestError) in try await a.domain.lock(atA, .exclusive) }
        try cluster.environment.wait { () async throws(LockRequestError) in try await b.domain.lock(atB, .null) }
        var outcome: LockRequestError?
        cluster.environment.spawn {
            do throws(LockRequestError) { try await b.domain.lock(atB, .exclusive) } catch { outcome = error }
        }
        cluster.environment.run(limit: .milliseconds(100))
        let wasInTime = try cluster.environment.wait { () async throws(JoinError) in await b.domain.cancel(atB) }
        cluster.environment.run(limit: .milliseconds(100))
        #expect(wasInTime && outcome == .cancelled && atB.mode == .null)
    }

    @Test("histories of two to five hosts with deaths and returns")
    func histories() {
        var (grants, deaths) = (0, 0)
        for seed in UInt64(1)...200 {
            let outcome = LockHistory.run(seed: seed)
            #expect(outcome.violations.isEmpty, "seed \(seed): \(outcome.violations.prefix(3))")
            grants += outcome.grants
            deaths += outcome.deaths
        }
        #expect(grants > 2000 && deaths > 100)
    }

    @Test("a seed makes the whole history")
    func determinism() {
        func lines(_ seed: UInt64) -> [String] {
            var all: [String] = []
            _ = LockHistory.run(seed: seed) { all.append($0) }
            return all
        }
        for seed in UInt64(1)...5 { #expect(lines(seed) == lines(seed)) }
    }

    @Test(
        "rules broken on purpose are noticed",
        arguments: [
            PlantedFaults.grantBeforeLowering, .loseBlocking, .masterBeforeAllVoted, .keepLocksOfDead, .leaveAsMaster,
        ])
    func faults(fault: PlantedFaults) {
        let caught = (UInt64(1)...300).first { !LockHistory.run(seed: $0, plantedFaults: fault).violations.isEmpty }
        #expect(caught != nil)
    }
}

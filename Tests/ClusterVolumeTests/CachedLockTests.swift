import ClusterVolume
import EngineKit
import EngineSimulation
import FileSystem
import LockManager
import LockSimulation
import O2Layout
import Testing

/// Something that a cluster lock protects: a number on the disk and a copy of it in memory.
private final class Thing: ClusterLockOwner {
    let disk: Disk
    var cached: UInt8?
    var dirty = false
    var lowered = 0

    final class Disk {
        var number: UInt8 = 0
    }

    init(disk: Disk) {
        self.disk = disk
    }

    func refresh(_ lock: any ClusterLock, from value: LockValueBlock?) async throws(FileSystemError) {
        cached = value.map { $0.bytes[1] } ?? disk.number
    }

    func prepareToLower(
        _ lock: any ClusterLock, from held: LockLevel, to level: LockLevel
    ) async throws(FileSystemError) {
        lowered += 1
        if dirty, let cached { disk.number = cached }
        dirty = false
        // The copy stays: the value block is made of it. It is looked at no more before the next refresh.
    }

    func value(of lock: any ClusterLock) -> LockValueBlock? {
        var bytes = [UInt8](repeating: 0, count: LockValueBlock.byteCount)
        bytes[0] = 5
        bytes[1] = cached ?? 0
        return LockValueBlock(bytes: bytes)
    }
}

@Suite("cached cluster locks")
struct CachedLockTests {
    private func pair(seed: UInt64) throws -> (SimulatedCluster, [ClusterLockService]) {
        let cluster = SimulatedCluster(seed: seed, nodeCount: 2)
        var services: [ClusterLockService] = []
        for node: NodeNumber in [0, 1] {
            let host = cluster.boot(node)
            try cluster.environment.wait { () async throws(JoinError) in try await host.domain.join() }
            services.append(ClusterLockService(domain: host.domain, environment: cluster.environment))
        }
        return (cluster, services)
    }

    @Test("names are spelled as on the wire")
    func names() {
        #expect(LockName(.superblock, block: 2).resource == ResourceName("S000000000000000000000200000000"))
        #expect(
            LockName(.metadata, block: 9, generation: 0x8069_9fb8).resource
                == ResourceName("M000000000000000000000980699fb8"))
        #expect(
            LockName(.readWrite, block: 0x9226, generation: 0xcd4b_a83e).resource
                == ResourceName("W0000000000000000009226cd4ba83e"))
        let dentry = LockName(.dentry, block: 0x9225, parent: 9).resource
        #expect(dentry.bytes.count == 31 && dentry.bytes[17] == 0 && Array(dentry.bytes[24...25]) == [0x92, 0x25])
    }

    @Test("a lock that nobody else wants costs no message")
    func cached() throws {
        let (cluster, services) = try pair(seed: 5)
        let lock = services[0].lock(LockName(.metadata, block: 77), owner: nil)
        try cluster.environment.wait { () async throws(FileSystemError) in
            try await lock.with(.exclusive) { () throws(FileSystemError) in }
        }
        cluster.environment.run(limit: .seconds(1))
        let before = cluster.messageCount
        try cluster.environment.wait { () async throws(FileSystemError) in
            for _ in 0..<100 { try await lock.with(.exclusive) { () throws(FileSystemError) in } }
        }
        #expect(cluster.messageCount == before && lock.level == .exclusive)
    }

    @Test("two hosts that add to one number lose nothing", arguments: 1...12)
    func counter(seed: Int) throws {
        let (cluster, services) = try pair(seed: UInt64(seed))
        let disk = Thing.Disk()
        let name = LockName(.metadata, block: 0x1234)
        var done = 0
        var sum = 0
        // A lock is cached as long as somebody knows it.
        var locks: [any ClusterLock] = []
        var things: [Thing] = []
        for service in services {
            let thing = Thing(disk: disk)
            let lock = service.lock(name, owner: thing)
            locks.append(lock)
            things.append(thing)
            for _ in 0..<2 {
                cluster.environment.spawn {
                    for round in 0..<30 {
                        let level: LockLevel = round % 3 == 0 ? .protectedRead : .exclusive
                        try? await lock.acquire(level)
                        if level == .exclusive {
                            thing.cached = (thing.cached ?? 200) &+ 1
                            thing.dirty = true
                            sum += 1
                        } else {
                            #expect(Int(thing.cached ?? 255) <= sum)
                        }
                        lock.release(level)
                        await cluster.environment.sleep(until: cluster.environment.now + .microseconds(700))
                    }
                    done += 1
                }
            }
        }
        #expect(
            cluster.environment.run(limit: .seconds(60)) { done == 4 },
            "users are stuck: \(services.map { $0.domain.listing() })")
        #expect(sum == 80)
        // Whoever holds it last writes back when the other wants it.
        for lock in locks {
            try cluster.environment.wait { () async throws(FileSystemError) in
                try await lock.with(.exclusive) { () throws(FileSystemError) in }
            }
        }
        #expect(disk.number == 80)
    }

    @Test("a frozen volume gives no metadata lock, a fenced one an error")
    func frozen() throws {
        let (cluster, services) = try pair(seed: 9)
        let lock = services[0].lock(LockName(.metadata, block: 5), owner: nil)
        services[0].freeze(except: [])
        var outcome: Result<Void, FileSystemError>?
        cluster.environment.spawn {
            do throws(FileSystemError) {
                try await lock.acquire(.protectedRead)
                outcome = .success(())
            } catch {
                outcome = .failure(error)
            }
        }
        cluster.environment.run(limit: .seconds(2))
        #expect(outcome == nil)
        services[0].fence("cut off")
        cluster.environment.run(limit: .seconds(1))
        guard case .failure(.aborted("cut off")) = outcome else {
            Issue.record("not fenced: \(String(describing: outcome))")
            return
        }
    }

    @Test("the judge's suspension and a recovery's freeze are two: the end of one is not the end of the other")
    func suspended() throws {
        let (cluster, services) = try pair(seed: 10)
        let service = services[0]
        let lock = service.lock(LockName(.metadata, block: 5), owner: nil)
        let journal = service.lock(LockName(.metadata, block: 6), owner: nil)
        // Cached: also what needs no message has to wait.
        try cluster.environment.wait { () async throws(FileSystemError) in
            try await lock.with(.exclusive) { () throws(FileSystemError) in }
        }
        var taken: [String] = []
        func take(_ lock: any ClusterLock, _ name: String) {
            cluster.environment.spawn {
                do throws(FileSystemError) {
                    try await lock.acquire(.protectedRead)
                    taken.append(name)
                    lock.release(.protectedRead)
                } catch {
                    Issue.record("\(name): \(error)")
                }
            }
            cluster.environment.run(limit: .seconds(1))
        }
        service.freeze(except: [journal.name])
        service.suspend()
        #expect(lock.isWantedElsewhere)
        take(lock, "file")
        take(journal, "journal")
        #expect(taken.isEmpty)
        // The recovery goes on, the others wait for it.
        service.resume()
        cluster.environment.run(limit: .seconds(1))
        #expect(taken == ["journal"] && !lock.isWantedElsewhere)
        // A second doubt while the recovery ends.
        service.suspend()
        service.thaw()
        cluster.environment.run(limit: .seconds(1))
        #expect(taken == ["journal"])
        service.resume()
        cluster.environment.run(limit: .seconds(1))
        #expect(taken == ["journal", "file"])
    }

    @Test("a host that is shut out while a request of its waits lets its locks go all the same")
    func shutOut() throws {
        let (cluster, services) = try pair(seed: 12)
        let name = LockName(.metadata, block: 5)
        let locks = services.map { $0.lock(name, owner: nil) }
        for lock in locks {
            try cluster.environment.wait { () async throws(FileSystemError) in
                try await lock.with(.protectedRead) { () throws(FileSystemError) in }
            }
        }
        // The other one uses it, so the conversion waits at the master.
        try cluster.environment.wait { () async throws(FileSystemError) in try await locks[0].acquire(.protectedRead) }
        var isAborted = false
        cluster.environment.spawn {
            do throws(FileSystemError) {
                try await locks[1].acquire(.exclusive)
            } catch {
                isAborted = true
            }
        }
        cluster.environment.run(limit: .seconds(1))
        #expect(!isAborted)
        services[1].fence("cut off")
        services[1].domain.abandon()
        var isGone = false
        cluster.environment.spawn {
            isGone = await services[1].dropAll(isFailedMount: false)
        }
        cluster.environment.run(limit: .seconds(5))
        #expect(isAborted && isGone)
    }

    @Test("at the end every cached lock is given back, and the domain can be left")
    func dropAll() throws {
        let (cluster, services) = try pair(seed: 11)
        var locks: [any ClusterLock] = []
        for block: UInt64 in 1...5 {
            let lock = services[0].lock(LockName(.metadata, block: block), owner: nil)
            locks.append(lock)
            try cluster.environment.wait { () async throws(FileSystemError) in
                try await lock.with(.exclusive) { () throws(FileSystemError) in }
            }
        }
        // A mount that failed holds what it held.
        try cluster.environment.wait { () async throws(FileSystemError) in try await locks[0].acquire(.exclusive) }
        var hasLeft = false
        cluster.environment.spawn {
            #expect(await services[0].dropAll(isFailedMount: false) == false)
            #expect(locks.map(\.level) == [.exclusive, .null, .null, .null, .null])
            #expect(await services[0].dropAll(isFailedMount: true))
            await services[0].domain.leave()
            hasLeft = true
        }
        #expect(cluster.environment.run(limit: .seconds(20)) { hasLeft })
        #expect(services[1].domain.members == [1])
    }

    @Test("a host that stops at once leaves nobody waiting")
    func abandoned() throws {
        let (cluster, services) = try pair(seed: 13)
        let name = LockName(.metadata, block: 5)
        let held = services[0].lock(name, owner: nil)
        try cluster.environment.wait { () async throws(FileSystemError) in try await held.acquire(.exclusive) }
        let wanted = services[1].lock(name, owner: nil)
        var outcome: FileSystemError?
        cluster.environment.spawn {
            do throws(FileSystemError) {
                try await wanted.acquire(.protectedRead)
            } catch {
                outcome = error
            }
        }
        cluster.environment.run(limit: .seconds(2))
        #expect(outcome == nil)
        services[1].fence("cut off")
        services[1].domain.abandon()
        #expect(cluster.environment.run(limit: .seconds(5)) { outcome != nil })
        #expect(services[1].domain.phase == .left)
    }
}

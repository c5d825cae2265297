import EngineKit
import EngineSimulation
import Heartbeat
import O2Layout
import Testing

/// Hosts that heartbeat on one disk.
private final class Room {
    let environment = VirtualEnvironment(seed: 7)
    let disk: MemoryDevice
    var events: [String] = []

    init() {
        disk = MemoryDevice(byteCount: 1 << 20, environment: environment)
    }

    func region(_ node: NodeNumber, threshold: Int = 31) -> HeartbeatRegion {
        var options = HeartbeatRegion.Options()
        options.deadThreshold = threshold
        let region = HeartbeatRegion(
            name: "R", node: node, configured: [0, 1], device: disk, byteOffset: 65536, blockByteCount: 512,
            options: options, environment: environment)
        region.onNodeUp = { [unowned self] in events.append("\(node) sees \($0) up") }
        region.onNodeDown = { [unowned self] in events.append("\(node) sees \($0) down") }
        region.onWriteTimeout = { [unowned self] in events.append("\(node) must stop") }
        return region
    }

    func seconds(_ body: () throws -> Void) rethrows -> Double {
        let began = environment.now
        try body()
        return Double((environment.now - began).nanosecondsClamped) / 1e9
    }

    func begin(_ region: HeartbeatRegion) throws {
        try environment.wait { () async throws(HeartbeatError) in try await region.begin() }
    }
}

@Suite("disk heartbeat")
struct HeartbeatRegionTests {
    @Test("a node alone in a fresh region is steady after 8 seconds, later after 6")
    func alone() throws {
        let room = Room()
        let first = room.region(0)
        #expect(try room.seconds { try room.begin(first) } == 8)
        #expect(first.liveNodes == [0])
        try room.environment.wait { () async throws(HeartbeatError) in await first.end() }
        let again = room.region(0)
        #expect(try room.seconds { try room.begin(again) } == 6)
    }

    @Test("a second node takes 10 seconds, and both see each other")
    func two() throws {
        let room = Room()
        let a = room.region(0)
        let b = room.region(1)
        try room.begin(a)
        #expect(try room.seconds { try room.begin(b) } == 10)
        #expect(a.liveNodes == [0, 1] && b.liveNodes == [0, 1])
        #expect(room.events.contains("0 sees 1 up") && room.events.contains("1 sees 0 up"))
    }

    @Test("a clean leave is seen at the next look, a silent death after the threshold")
    func leaving() throws {
        let room = Room()
        let a = room.region(0, threshold: 10)
        let b = room.region(1, threshold: 10)
        try room.begin(a)
        try room.begin(b)
        let clean = try room.seconds {
            try room.environment.wait { () async throws(HeartbeatError) in await b.end() }
            #expect(room.environment.run(limit: .seconds(30)) { !a.liveNodes.contains(1) })
        }
        #expect(clean <= 4)
        let c = room.region(1, threshold: 10)
        try room.begin(c)
        #expect(a.liveNodes == [0, 1])
        c.fence()
        let silent = room.seconds { room.environment.run(limit: .seconds(60)) { !a.liveNodes.contains(1) } }
        #expect((18...23).contains(silent))
    }

    @Test("a node that comes back sooner than it is missed goes down and up")
    func quickReturn() throws {
        let room = Room()
        let a = room.region(0)
        let b = room.region(1)
        try room.begin(a)
        try room.begin(b)
        b.fence()
        room.environment.run(limit: .seconds(3))
        room.events = []
        try room.begin(room.region(1))
        #expect(room.events.filter { $0.hasPrefix("0 sees 1") } == ["0 sees 1 down", "0 sees 1 up"])
    }

    @Test("writes that hang fence this node before the others bury it")
    func writeTimeout() throws {
        let room = Room()
        let a = room.region(0, threshold: 10)
        try room.begin(a)
        room.disk.fault = { if case .write = $0.kind { 5 } else { 0 } }
        room.environment.run(limit: .seconds(30)) { room.events.contains("0 must stop") }
        #expect(room.events.contains("0 must stop"))
        #expect(
            room.environment.records.contains { $0.text.contains("Heartbeat write timeout to device R after 18000") })
    }

    @Test("an extension moves the end of membership, a write moves it as well")
    func extendedTimeout() throws {
        let room = Room()
        let a = room.region(0, threshold: 10)
        #expect(a.writeDeadline == nil)
        try room.begin(a)
        let first = try #require(a.writeDeadline)
        room.environment.run(limit: .seconds(5))
        #expect(try #require(a.writeDeadline) > first)
        room.disk.fault = { if case .write = $0.kind { 5 } else { 0 } }
        room.environment.run(limit: .seconds(14))
        a.extendWriteTimeout()
        room.environment.run(limit: .seconds(17))
        #expect(!room.events.contains("0 must stop"))
        room.environment.run(limit: .seconds(3))
        #expect(room.events.contains("0 must stop"))
    }

    @Test("a second host with this node's number is found out")
    func stolenNumber() throws {
        let room = Room()
        try room.begin(room.region(0))
        _ = room.region(0)
        var block = [UInt8](repeating: 0, count: 512)
        block.withUnsafeMutableBytes {
            HeartbeatBlock(sequence: 5, node: 0, generation: 99, deadTimeMilliseconds: 62000).encode(into: $0)
        }
        block.withUnsafeBytes { room.disk.write(at: 65536, $0) }
        room.environment.run(limit: .seconds(3))
        #expect(room.environment.records.contains { $0.text.contains("generation mismatch") })
    }
}

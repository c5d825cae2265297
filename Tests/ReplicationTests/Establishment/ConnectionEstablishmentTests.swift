import EngineKit
import Testing

@testable import Replication

/// Spec: drbd-wire 2.3.
struct ConnectionEstablishmentTests {
    /// The machine with a hand-moved clock. Sockets that it connects are numbered from 1, accepted ones are given.
    private final class Driver {
        var machine: ConnectionEstablishment
        var now = Instant(nanoseconds: 1_000_000_000)
        private var lastID: UInt32 = 0
        private let random = SeededRandom(seed: 5)

        init(_ change: (inout NetworkOptions) -> Void = { _ in }) {
            var options = NetworkOptions()
            change(&options)
            machine = ConnectionEstablishment(timing: .init(options: options))
        }

        func feed(_ event: ConnectionEstablishment.Event) -> [ConnectionEstablishment.Effect] {
            var effects: [ConnectionEstablishment.Effect] = []
            machine.handle(
                event, now: now, random: random,
                nextSocketID: {
                    self.lastID += 1
                    return SocketID(self.lastID)
                }, into: &effects)
            return effects.filter { if case .log = $0 { false } else { true } }
        }

        /// Moves the clock to the next deadline.
        func wait() -> [ConnectionEstablishment.Effect] {
            now = machine.nextDeadline!
            return feed(.tick)
        }
    }

    private let s1 = SocketID(1)
    private let s2 = SocketID(2)
    private let s3 = SocketID(3)
    private let in1 = SocketID(101)
    private let in2 = SocketID(102)

    @Test("the node that comes up first accepts data, connects meta, and has the flag clear")
    func firstUp() {
        let driver = Driver()
        #expect(driver.feed(.start) == [.listen, .connect(s1)])
        #expect(driver.feed(.connectFailed(s1, errno: 111)) == [])
        driver.now = driver.now + .seconds(2)
        #expect(driver.feed(.accepted(in1)) == [])
        #expect(driver.machine.awaitsFirstPacket(in1))
        #expect(driver.feed(.firstPacket(in1, .initialData)) == [.connect(s2)])
        #expect(driver.feed(.connected(s2)) == [.send(s2, .initialMeta)])
        #expect(driver.machine.nextDeadline == driver.now + .milliseconds(500))
        #expect(driver.wait() == [.stopListening, .established(data: in1, meta: s2, resolveConflicts: false)])
        #expect(!driver.machine.owns(in1))
        #expect(driver.machine.nextDeadline == nil)
    }

    @Test("the node that comes up second connects data, accepts meta, and holds the flag")
    func secondUp() {
        let driver = Driver { $0.socketCheckTimeout = 7 }
        _ = driver.feed(.start)
        #expect(driver.feed(.connected(s1)) == [.send(s1, .initialData)])
        _ = driver.feed(.accepted(in1))
        #expect(driver.feed(.firstPacket(in1, .initialMeta)) == [])
        #expect(driver.machine.nextDeadline == driver.now + .milliseconds(700))
        #expect(driver.wait() == [.stopListening, .established(data: s1, meta: in1, resolveConflicts: true)])
    }

    @Test("a peer that opens both sockets itself is taken, in either order", arguments: [true, false])
    func acceptsBoth(dataFirst: Bool) {
        let driver = Driver()
        _ = driver.feed(.start)
        _ = driver.feed(.connectFailed(s1, errno: 111))
        _ = driver.feed(.accepted(in1))
        _ = driver.feed(.accepted(in2))
        let (data, meta) = dataFirst ? (in1, in2) : (in2, in1)
        #expect(driver.feed(.firstPacket(in1, dataFirst ? .initialData : .initialMeta)) == [.connect(s2)])
        #expect(driver.feed(.firstPacket(in2, dataFirst ? .initialMeta : .initialData)) == [])
        // The own connect is not needed any more.
        #expect(driver.feed(.connected(s2)) == [.close(s2)])
        #expect(driver.wait() == [.stopListening, .established(data: data, meta: meta, resolveConflicts: true)])
    }

    @Test("a peer that never connects gets both sockets opened, the second after connect-int within a seventh")
    func connectsBoth() {
        let driver = Driver()
        _ = driver.feed(.start)
        _ = driver.feed(.connected(s1))
        let wait = driver.machine.nextDeadline! - driver.now
        #expect(wait >= .seconds(10) - .seconds(10) / 7 && wait <= .seconds(10) + .seconds(10) / 7)
        #expect(driver.wait() == [.connect(s2)])
        #expect(driver.feed(.connected(s2)) == [.send(s2, .initialMeta)])
        #expect(driver.wait() == [.stopListening, .established(data: s1, meta: s2, resolveConflicts: false)])
    }

    @Test("data crossed: the incoming one replaces ours; when it dies we connect again within a second")
    func dataCrossed() {
        let driver = Driver()
        _ = driver.feed(.start)
        _ = driver.feed(.connected(s1))
        _ = driver.feed(.accepted(in1))
        #expect(driver.feed(.firstPacket(in1, .initialData)) == [.close(s1)])
        #expect(driver.feed(.socketEnded(in1)) == [])
        #expect(driver.machine.nextDeadline! - driver.now <= .seconds(1))
        #expect(driver.wait() == [.connect(s2)])
        #expect(driver.feed(.connected(s2)) == [.send(s2, .initialData)])
    }

    @Test("data crossed in one direction only: the survivor carries on")
    func dataReplaced() {
        let driver = Driver()
        _ = driver.feed(.start)
        _ = driver.feed(.connected(s1))
        _ = driver.feed(.accepted(in1))
        #expect(driver.feed(.firstPacket(in1, .initialData)) == [.close(s1)])
        #expect(driver.wait() == [.connect(s2)])
        #expect(driver.feed(.connected(s2)) == [.send(s2, .initialMeta)])
        #expect(driver.wait() == [.stopListening, .established(data: in1, meta: s2, resolveConflicts: false)])
    }

    @Test("meta crossed during the check: the accepted one counts, the flag is set, the check begins anew")
    func metaCrossed() {
        let driver = Driver()
        _ = driver.feed(.start)
        _ = driver.feed(.accepted(in1))
        _ = driver.feed(.firstPacket(in1, .initialData))
        _ = driver.feed(.connected(s1))
        driver.now = driver.now + .milliseconds(300)
        _ = driver.feed(.accepted(in2))
        #expect(driver.feed(.firstPacket(in2, .initialMeta)) == [.close(s1)])
        #expect(driver.machine.nextDeadline == driver.now + .milliseconds(500))
        #expect(driver.wait() == [.stopListening, .established(data: in1, meta: in2, resolveConflicts: true)])
    }

    @Test("the flag is cleared when a meta socket of our own replaces a dead accepted one")
    func flagFollowsTheSurvivor() {
        let driver = Driver()
        _ = driver.feed(.start)
        _ = driver.feed(.connected(s1))
        _ = driver.feed(.accepted(in1))
        _ = driver.feed(.firstPacket(in1, .initialMeta))
        #expect(driver.feed(.socketEnded(in1)) == [])
        #expect(driver.wait() == [.connect(s2)])
        #expect(driver.feed(.connected(s2)) == [.send(s2, .initialMeta)])
        #expect(driver.wait() == [.stopListening, .established(data: s1, meta: s2, resolveConflicts: false)])
    }

    @Test("garbage and silence are closed and do no harm")
    func scanners() {
        let driver = Driver()
        _ = driver.feed(.start)
        _ = driver.feed(.connectFailed(s1, errno: 110))
        _ = driver.feed(.accepted(in1))
        #expect(driver.feed(.firstPacket(in1, .other)) == [.close(in1)])
        _ = driver.feed(.accepted(in2))
        #expect(driver.machine.nextDeadline == driver.now + .seconds(2))
        #expect(driver.wait() == [.close(in2)])
        #expect(driver.feed(.firstPacket(in2, .initialData)) == [], "too late")
        for number in 0..<5 { #expect(driver.feed(.accepted(SocketID(200 + UInt32(number)))) == []) }
        #expect(driver.feed(.accepted(SocketID(205))) == [.close(SocketID(200))], "the oldest silent one makes room")
    }

    @Test("sockets that die again and again are not chased for ever")
    func quickRetries() {
        let driver = Driver()
        _ = driver.feed(.start)
        var slowest = Duration.zero
        for number: UInt32 in 1...10 {
            #expect(driver.feed(.connected(SocketID(number))) == [.send(SocketID(number), .initialData)])
            _ = driver.feed(.socketEnded(SocketID(number)))
            slowest = max(slowest, driver.machine.nextDeadline! - driver.now)
            _ = driver.wait()
        }
        #expect(slowest > .seconds(8))
    }

    @Test("an own address that cannot be used ends the attempt", arguments: [99, 97] as [Int32])
    func ownAddress(errno: Int32) {
        let driver = Driver()
        _ = driver.feed(.start)
        _ = driver.feed(.accepted(in1))
        #expect(
            driver.feed(.connectFailed(s1, errno: errno)) == [.stopListening, .close(in1), .failed(errno: errno)])
        #expect(!driver.machine.isRunning)
        let other = Driver()
        _ = other.feed(.start)
        #expect(other.feed(.listenFailed(errno: 98)) == [.stopListening, .close(s1), .failed(errno: 98)])
    }

    @Test("stop closes everything; what comes late is closed or ignored")
    func stop() {
        let driver = Driver()
        _ = driver.feed(.start)
        _ = driver.feed(.connected(s1))
        _ = driver.feed(.accepted(in1))
        #expect(driver.feed(.stop) == [.stopListening, .close(s1), .close(in1)])
        #expect(driver.feed(.accepted(in2)) == [.close(in2)])
        #expect(driver.feed(.socketEnded(s1)) == [])
        #expect(driver.feed(.tick) == [])
        #expect(driver.feed(.stop) == [])
        #expect(driver.feed(.start) == [.listen, .connect(s2)])
    }

    @Test("a start is possible again after sockets were handed over")
    func again() {
        let driver = Driver()
        _ = driver.feed(.start)
        _ = driver.feed(.connected(s1))
        _ = driver.feed(.accepted(in1))
        _ = driver.feed(.firstPacket(in1, .initialMeta))
        _ = driver.wait()
        #expect(driver.feed(.start) == [.listen, .connect(s2)])
        #expect(driver.feed(.socketEnded(s1)) == [], "not ours any more")
    }
}

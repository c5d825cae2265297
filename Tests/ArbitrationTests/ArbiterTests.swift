import Arbitration
import EngineKit
import Testing

private let data = Arbiter.Path(name: "replication", carriesData: true)
private let other = Arbiter.Path(name: "o2net", carriesData: false)

@Suite("one judge")
struct ArbiterTests {
    private func arbiter(
        preferred: Bool, references: Bool = true, paths: [Arbiter.Path] = [data, other], classic: Bool = false
    ) -> Arbiter {
        var options = Arbiter.Options(isPreferred: preferred, hasReferences: references)
        options.isClassic = classic
        return Arbiter(paths: paths, options: options)
    }

    private func at(_ seconds: Int) -> Instant { Instant(nanoseconds: UInt64(seconds) * 1_000_000_000) }

    private func isAlone(_ arbiter: Arbiter) -> Bool { arbiter.verdict.mayAcknowledgeAlone }

    private func isFrozen(_ arbiter: Arbiter) -> Bool {
        if case .frozen = arbiter.verdict { true } else { false }
    }

    @Test("a closed connection means that the daemon is gone, without waiting", arguments: [true, false])
    func closed(preferred: Bool) {
        var judge = arbiter(preferred: preferred)
        judge.handle(.path(other, .closed), now: at(1))
        #expect(judge.verdict == .together)
        judge.handle(.path(data, .closed), now: at(1))
        #expect(isAlone(judge))
    }

    @Test("silence with a reference: go on; without one: freeze, then fail", arguments: [true, false])
    func silence(isReached: Bool) {
        var judge = arbiter(preferred: !isReached)
        judge.handle(.path(other, .silent), now: at(1))
        judge.handle(.path(data, .silent), now: at(1))
        #expect(judge.verdict == .undecided && judge.nextDeadline == at(3))
        judge.handle(.reference(isReached: isReached), now: at(2))
        #expect(judge.verdict == .undecided)
        judge.handle(.tick, now: at(3))
        #expect(isAlone(judge) == isReached && isFrozen(judge) == !isReached)
        guard !isReached else { return }
        judge.handle(.tick, now: at(63))
        guard case .failed = judge.verdict else {
            Issue.record("still \(judge.verdict)")
            return
        }
    }

    @Test("both hosts under one cut never go on both, whatever they see of it")
    func neverBoth() {
        // Each pattern: is another path alive, and which host's reference answers.
        for (isOtherAlive, reached, references) in [
            (true, [true, true], true), (true, [false, false], true), (false, [true, false], true),
            (false, [false, true], true), (false, [false, false], true), (false, [false, false], false),
        ] {
            let alone = [true, false].enumerated().filter { index, preferred in
                var judge = arbiter(preferred: preferred, references: references)
                judge.handle(.reference(isReached: reached[index]), now: at(1))
                if !isOtherAlive { judge.handle(.path(other, .silent), now: at(2)) }
                judge.handle(.path(data, .silent), now: at(2))
                judge.handle(.tick, now: at(5))
                return isAlone(judge)
            }
            #expect(alone.count <= 1, "other path \(isOtherAlive), references \(reached)")
        }
    }

    @Test("a link that comes back in time was nothing")
    func shortSilence() {
        var judge = arbiter(preferred: false)
        judge.handle(.path(other, .silent), now: at(1))
        judge.handle(.path(data, .silent), now: at(1))
        judge.handle(.path(data, .alive), now: at(2))
        #expect(judge.verdict == .together && judge.nextDeadline == nil)
    }

    @Test("a frozen host goes on when the peer is back, or when the admin says so")
    func thaw() {
        for input in [Arbiter.Input.reunited, .takeover] {
            var judge = arbiter(preferred: false, references: false)
            judge.handle(.path(data, .silent), now: at(1))
            judge.handle(.path(other, .silent), now: at(1))
            judge.handle(.tick, now: at(4))
            #expect(isFrozen(judge))
            // The other host is preferred: however long it takes.
            judge.handle(.tick, now: at(4000))
            #expect(isFrozen(judge))
            // The link alone is not enough: the data must be the same first.
            judge.handle(.path(data, .alive), now: at(5000))
            #expect(isFrozen(judge))
            judge.handle(input, now: at(6000))
            #expect(!isFrozen(judge))
        }
    }

    @Test("a good-bye and the classic setting need no evidence")
    func goodbye() {
        var judge = arbiter(preferred: false)
        judge.handle(.goodbye, now: at(1))
        #expect(isAlone(judge))
        var classic = arbiter(preferred: false, classic: true)
        classic.handle(.path(data, .silent), now: at(1))
        #expect(isAlone(classic))
    }
}

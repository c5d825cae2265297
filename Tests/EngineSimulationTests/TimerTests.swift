import EngineKit
import EngineSimulation
import Testing

@Suite("timers in virtual time")
struct TimerTests {
    @Test("calls come in the order of their instants, those of one instant in the order of their insertion")
    func order() {
        let environment = VirtualEnvironment(seed: 9)
        var calls: [(at: UInt64, number: Int)] = []
        for number in 0..<500 {
            let at = environment.random.next(below: 40)
            environment.call(at: environment.now + .milliseconds(Int64(at))) { calls.append((at, number)) }
        }
        environment.run()
        #expect(calls.count == 500)
        #expect(zip(calls, calls.dropFirst()).allSatisfy { ($0.at, $0.number) < ($1.at, $1.number) })
    }

    @Test("what goes round in circles is ended by the limit of events")
    func limit() {
        let environment = VirtualEnvironment()
        environment.eventCountMax = 1000
        let signal = AsyncSignal()
        environment.spawn { while true { await signal.wait() } }
        environment.spawn {
            while true {
                signal.notify()
                await environment.yield()
            }
        }
        #expect(!environment.run { false })
        #expect(environment.isExhausted && environment.eventCount < 1100)
    }
}

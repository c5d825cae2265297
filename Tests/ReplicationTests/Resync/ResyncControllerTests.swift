import Testing

@testable import Replication

/// Spec: drbd-disk-and-state 19.1.
struct ResyncControllerTests {
    /// The blocks of each tick when all is answered before the next one.
    private func run(ticks: Int, extra: Int, options: DiskOptions = DiskOptions(), buffersMax: Int = 2048) -> [Int] {
        var controller = ResyncController()
        return (0..<ticks).map { _ in
            let number = controller.tick(options: options, buffersMax: buffersMax)
            controller.blocksRequested(number + extra)
            controller.sectorsArrived((number + extra) * 8)
            return number
        }
    }

    @Test("default options: the sequence measured against a kernel target, without its one block more")
    func golden() {
        let numbers = run(ticks: 21, extra: 1)
        #expect(Array(numbers[..<5]) == [6, 8, 10, 12, 14])
        #expect(Array(numbers[14...]) == [34, 36, 38, 41, 44, 47, 44])
    }

    @Test("the first two ticks step by step")
    func firstTicks() {
        var controller = ResyncController()
        #expect(controller.tick(options: DiskOptions(), buffersMax: 2048) == 6)
        #expect(controller.reportedRate == 240)
        controller.blocksRequested(7)
        #expect(controller.inFlightSectors == 56)
        controller.sectorsArrived(56)
        #expect(controller.tick(options: DiskOptions(), buffersMax: 2048) == 8)
        #expect(controller.reportedRate == 320)
        #expect(controller.inFlightSectors == 0)
    }

    @Test("the fastest rate is never exceeded, the buffers neither")
    func limits() {
        var options = DiskOptions()
        options.rateMax = 4000
        options.fillTarget = 100_000
        #expect(run(ticks: 100, extra: 0, options: options).max() == 100)
        options.rateMax = 1 << 20
        #expect(run(ticks: 100, extra: 0, options: options, buffersMax: 100).max() == 50)
    }

    @Test("what is refused makes room for other requests")
    func refused() {
        var controller = ResyncController()
        var options = DiskOptions()
        options.fillTarget = 100
        for _ in 0..<60 {
            let number = controller.tick(options: options, buffersMax: 2048)
            controller.blocksRequested(number)
            controller.requestRefused(number)
        }
        #expect(controller.inFlightSectors == 0)
        #expect(controller.tick(options: options, buffersMax: 2048) > 0)
    }

    @Test("nothing is asked for while what was asked for stays out")
    func unanswered() {
        var controller = ResyncController()
        var options = DiskOptions()
        options.fillTarget = 100
        for _ in 0..<60 {
            let number = controller.tick(options: options, buffersMax: 2048)
            controller.blocksRequested(number)
        }
        #expect(controller.tick(options: options, buffersMax: 2048) == 0)
        #expect(controller.inFlightSectors <= 1200)
    }

    @Test("c-delay-target: what comes in within that time is kept on its way")
    func delayTarget() {
        var options = DiskOptions()
        options.fillTarget = 0
        let numbers = run(ticks: 200, extra: 0, options: options)
        #expect(numbers.last! > 300, "it grows as long as all is answered at once")
    }

    @Test("c-plan-ahead 0: the fixed rate")
    func fixedRate() {
        var options = DiskOptions()
        options.planAhead = 0
        options.resyncRate = 10240
        var controller = ResyncController()
        #expect(controller.tick(options: options, buffersMax: 2048) == 256)
        #expect(controller.reportedRate == 10240)
        controller.blocksRequested(900)
        #expect(controller.tick(options: options, buffersMax: 2048) == 124, "the rest of max-buffers / 2")
        controller.blocksRequested(200)
        #expect(controller.tick(options: options, buffersMax: 2048) == 0)
    }

    @Test("another plan length starts a new plan; a new resync starts from nothing")
    func changes() {
        var controller = ResyncController()
        var options = DiskOptions()
        _ = controller.tick(options: options, buffersMax: 2048)
        options.planAhead = 5
        _ = controller.tick(options: options, buffersMax: 2048)
        controller.blocksRequested(5)
        controller.reset()
        #expect(controller.inFlightSectors == 0)
        #expect(controller.tick(options: DiskOptions(), buffersMax: 2048) == 6)
    }
}

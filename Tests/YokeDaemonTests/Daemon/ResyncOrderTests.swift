import DRBDLayout
import Testing

@testable import Replication
@testable import YokeDaemon

@Suite struct ResyncOrderTests {
    private func volume(_ minor: Int, after: Int?, _ state: DeviceState) -> VolumeReport {
        var volume = Samples.volume(state, minor: minor)
        volume.snapshot.diskOptions?.resyncAfterMinor = after
        return volume
    }

    @Test("a volume waits while the one before it resyncs, and is let go when that is done")
    func chain() {
        let order = ResyncOrder()
        #expect(order.update([volume(1, after: 0, Samples.connected)]).isEmpty)
        #expect(order.update([volume(0, after: nil, Samples.target)]).map(\.minor) == [1])
        let done = order.update([volume(0, after: nil, Samples.connected)])
        #expect(done.map(\.minor) == [1] && done.map(\.mustWait) == [false])
    }

    @Test("a chain of three waits for its first")
    func three() {
        let order = ResyncOrder()
        _ = order.update([volume(2, after: 1, Samples.connected), volume(1, after: 0, Samples.connected)])
        #expect(order.update([volume(0, after: nil, Samples.target)]).map(\.minor) == [1, 2])
    }

    @Test("a cycle ends, and a resource that goes lets others continue")
    func cycleAndRemoval() {
        let order = ResyncOrder()
        _ = order.update([volume(0, after: 1, Samples.connected), volume(1, after: 0, Samples.connected)])
        let waiting = order.update([volume(1, after: 0, Samples.target)])
        #expect(waiting.map(\.minor) == [0, 1])
        #expect(order.remove([1]).map(\.minor) == [0])
    }
}

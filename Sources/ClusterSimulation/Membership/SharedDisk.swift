internal import EngineKit
internal import EngineSimulation

/// One host's way to the disk that all share.
///
/// **Promises.** What completes took effect less than 1.5 s before; what hangs takes effect when it ends; what fails has no
/// effect. Nothing of a host that is off completes, and some of it takes effect, except what hangs.
final class SharedDisk: BlockDevice {
    private let disk: MemoryDevice
    private let environment: HostEnvironment
    private let base: VirtualEnvironment
    /// Longest time of an operation.
    var latencyMax = Duration.milliseconds(5)
    /// Operations end no sooner than then.
    var hangsUntil = Instant.zero
    /// Operations fail until then.
    var failsUntil = Instant.zero

    init(_ disk: MemoryDevice, _ environment: HostEnvironment, _ base: VirtualEnvironment) {
        self.disk = disk
        self.environment = environment
        self.base = base
    }

    /// Also for two signs of life afterwards.
    var isHeldUp: Bool { base.now < max(hangsUntil, failsUntil) + .seconds(4) }

    var byteCount: UInt64 { disk.byteCount }
    var sectorByteCount: Int { disk.sectorByteCount }
    var isReadOnly: Bool { disk.isReadOnly }

    func submit(_ transfer: BlockTransfer, _ completion: @escaping (_ errno: Int32) -> Void) {
        let (inputOutputError, now) = (Int32(5), base.now)
        guard now >= failsUntil else {
            return environment.call(at: now + .milliseconds(1)) { completion(inputOutputError) }
        }
        let (first, second) = (draw(), draw())
        let isHanging = hangsUntil > now
        let effect = max(now + min(first, second), hangsUntil)
        let end = max(now + max(first, second), hangsUntil)
        base.call(at: effect) { [self] in
            guard !environment.isOff || (!isHanging && base.random.next(below: 2) == 0) else { return }
            disk.submit(transfer) { [self] errno in
                environment.call(at: max(end, base.now)) { completion(errno) }
            }
        }
    }

    private func draw() -> Duration { .nanoseconds(Int64(base.random.next(below: latencyMax.nanosecondsClamped + 1))) }
}

package import EngineKit
package import EngineSimulation

/// The common disk as one host of a ``ClusterHistory`` sees it: what completed is there for all; when the host dies, what is
/// under way is done or not, and nothing comes back to it.
package final class HostDisk: BlockDevice {
    private let disk: MemoryDevice
    private let environment: VirtualEnvironment
    package var isDead = false
    /// Longest time of an operation.
    package var latencyMax = Duration.microseconds(200)

    package init(_ disk: MemoryDevice, environment: VirtualEnvironment) {
        self.disk = disk
        self.environment = environment
    }

    package var byteCount: UInt64 { disk.byteCount }
    package var sectorByteCount: Int { disk.sectorByteCount }
    package var isReadOnly: Bool { disk.isReadOnly }

    package func submit(_ transfer: BlockTransfer, _ completion: @escaping (_ errno: Int32) -> Void) {
        let delay = environment.random.next(below: latencyMax.nanosecondsClamped + 1)
        environment.call(at: environment.now + .nanoseconds(Int64(delay))) { [self] in
            guard !isDead || environment.random.next(below: 2) == 0 else { return }
            disk.submit(transfer) { [self] errno in
                if !isDead { completion(errno) }
            }
        }
    }
}

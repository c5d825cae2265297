internal import EngineKit
internal import Glibc

/// A volume's device as the filesystem of a member uses it: nothing passes when this host is no member any more.
///
/// A host that was stopped for a while and wakes up does not know yet what it missed, and whatever wakes first may want
/// to write. So each request compares the clock with the last sign of life that got through: one read of the clock.
final class MemberDevice: BlockDevice {
    private let device: any BlockDevice
    private let membership: VolumeMembership
    private var isHolding = false
    /// Writes to be begun, and completions to be told, when it is decided who goes on.
    private var held: [() -> Void] = []

    init(_ device: any BlockDevice, of membership: VolumeMembership) {
        self.device = device
        self.membership = membership
    }

    var byteCount: UInt64 { device.byteCount }
    var sectorByteCount: Int { device.sectorByteCount }
    var isReadOnly: Bool { device.isReadOnly }

    func submit(_ transfer: BlockTransfer, _ completion: @escaping (Int32) -> Void) {
        guard membership.isMember() else {
            let environment = membership.environment
            return environment.call(at: environment.now) { completion(EIO) }
        }
        guard transfer.kind != .read else { return device.submit(transfer, completion) }
        guard !isHolding else {
            held.append { [self] in submit(transfer, completion) }
            return
        }
        device.submit(transfer) { [self] errno in
            guard isHolding else { return completion(errno) }
            held.append { [self] in completion(membership.stopReason == nil ? errno : EIO) }
        }
    }

    /// While it is held nothing is written, and nothing that was written is acknowledged; reads go on.
    func hold(_ isHolding: Bool) {
        self.isHolding = isHolding
        guard !isHolding else { return }
        let released = held
        held = []
        for action in released { action() }
    }
}

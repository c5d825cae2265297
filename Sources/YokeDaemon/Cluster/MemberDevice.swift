internal import EngineKit
internal import Glibc

/// A volume's device as the filesystem of a member uses it: nothing passes when this host is no member any more.
///
/// A host that was stopped for a while and wakes up does not know yet what it missed, and whatever wakes first may want
/// to write. So each request compares the clock with the last sign of life that got through: one read of the clock.
///
/// When membership ends, requests that hang below end here with an error, so that nobody waits for ever; what becomes of
/// them below tells nobody any more.
final class MemberDevice: BlockDevice {
    private let device: any BlockDevice
    private let membership: VolumeMembership
    private var isHolding = false
    /// Writes to be begun, and completions to be told, when it is decided who goes on.
    private var held: [() -> Void] = []
    /// Of requests under way, by slot; nil: the slot is free.
    private var completions: [((Int32) -> Void)?] = []
    private var freeSlots: [Int] = []
    private var isStopped = false

    init(_ device: any BlockDevice, of membership: VolumeMembership) {
        self.device = device
        self.membership = membership
    }

    var byteCount: UInt64 { device.byteCount }
    var sectorByteCount: Int { device.sectorByteCount }
    var isReadOnly: Bool { device.isReadOnly }

    func submit(_ transfer: BlockTransfer, _ completion: @escaping (Int32) -> Void) {
        guard !isStopped, membership.isMember() else { return refuse(completion) }
        let changes = transfer.kind != .read
        if isHolding, changes {
            held.append { [self] in submit(transfer, completion) }
            return
        }
        let slot = freeSlots.popLast() ?? completions.count
        if slot == completions.count { completions.append(completion) } else { completions[slot] = completion }
        device.submit(transfer) { [self] errno in completed(slot, errno, isHeld: changes) }
    }

    private func refuse(_ completion: @escaping (Int32) -> Void) {
        membership.environment.call(at: membership.environment.now) { completion(EIO) }
    }

    private func completed(_ slot: Int, _ errno: Int32, isHeld: Bool) {
        // After the stop the slots are not used again: what comes late finds its own place empty.
        guard let completion = completions[slot] else { return }
        if isHolding, isHeld {
            held.append { [self] in completed(slot, errno, isHeld: true) }
            return
        }
        completions[slot] = nil
        if !isStopped { freeSlots.append(slot) }
        completion(errno)
    }

    /// While it is held nothing is written, and nothing that was written is acknowledged; reads go on.
    func hold(_ isHolding: Bool) {
        self.isHolding = isHolding
        guard !isHolding else { return }
        let released = held
        held = []
        for action in released { action() }
    }

    /// Ends every request with an error, those under way and those to come.
    func stop() {
        guard !isStopped else { return }
        isStopped = true
        freeSlots = []
        for slot in completions.indices {
            guard let completion = completions[slot] else { continue }
            completions[slot] = nil
            refuse(completion)
        }
        hold(false)
    }
}

internal import Configuration
internal import EngineKit
internal import LinuxReactor
internal import Replication

/// A replicated volume as the place of a filesystem in the same process: no block device, no protocol between.
///
/// Confined to the runner's thread. The volume stays open, and so Primary, until ``close()``.
final class ReplicatedDevice: BlockDevice {
    private unowned let runner: ResourceRunner
    private let volume: VolumeNumber
    private var completions: [(Int32) -> Void] = []
    private var freeSlots: [Int] = []
    /// The engine answers some requests at once; who asked must not be called from inside its own call.
    private var isSubmitting = false
    private var early: [(completion: (Int32) -> Void, errno: Int32)] = []
    private(set) var isOpen = true

    let byteCount: UInt64

    init(runner: ResourceRunner, volume: VolumeNumber) throws(OpenRefusal) {
        self.runner = runner
        self.volume = volume
        try runner.openVolume(volume)
        byteCount = (runner.snapshot(of: volume)?.sizeSectors ?? 0) << 9
    }

    var sectorByteCount: Int { 512 }
    /// Only a Primary can be opened.
    var isReadOnly: Bool { false }

    func submit(_ transfer: BlockTransfer, _ completion: @escaping (Int32) -> Void) {
        let kind: ApplicationRequest.Kind =
            switch transfer.kind {
            case .read: .read
            case .write(let forceUnitAccess): .write(forceUnitAccess: forceUnitAccess)
            case .flush: .flush
            case .discard: .discard
            }
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            completions[slot] = completion
        } else {
            slot = completions.count
            completions.append(completion)
        }
        isSubmitting = true
        runner.submit(
            kind, volume: volume, sector: transfer.byteOffset >> 9, byteCount: transfer.byteCount,
            data: stable(transfer), token: UInt64(slot), user: self)
        isSubmitting = false
        tellEarly()
    }

    /// Under protocols A and B data may still be on their way to the peer when a write is answered, and whoever wrote
    /// them may then change them: the peer must not see that before the next write.
    private func stable(_ transfer: BlockTransfer) -> IOSlice? {
        guard case .write = transfer.kind, let data = transfer.data, !runner.waitsForPeer else { return transfer.data }
        let copy = IOSlice(buffer: runner.buffers.take(byteCount: data.count), offset: 0, count: data.count)
        copy.bytes.copyMemory(from: UnsafeRawBufferPointer(data.bytes))
        return copy
    }

    private func tellEarly() {
        guard !early.isEmpty else { return }
        let told = early
        early = []
        runner.reactor.addTimer(at: runner.reactor.now) {
            for entry in told { entry.completion(entry.errno) }
        }
    }

    /// Lets the volume go. Nothing may be under way.
    func close() {
        guard isOpen else { return }
        isOpen = false
        runner.closeVolume(volume)
    }
}

extension ReplicatedDevice: VolumeUser {
    func requestCompleted(token: UInt64, errno: Int32) {
        let slot = Int(token)
        let completion = completions[slot]
        completions[slot] = { _ in }
        freeSlots.append(slot)
        if isSubmitting {
            early.append((completion, errno))
        } else {
            completion(errno)
        }
    }
}

extension ResourceRunner {
    /// Protocol C: what was answered is with the peer.
    var waitsForPeer: Bool {
        guard let entry = settings.net.last(where: { $0.name == "protocol" }) else { return true }
        return entry.value == "C"
    }
}

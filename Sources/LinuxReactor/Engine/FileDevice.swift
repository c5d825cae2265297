package import EngineKit
internal import Glibc

/// A ``DiskFile`` as the place of a filesystem: plain file, loop device or another block device.
///
/// Confined to the reactor's thread once it is in use.
package final class FileDevice: BlockDevice {
    package let disk: DiskFile
    private let reactor: Reactor
    private var completions: [(Int32) -> Void] = []
    private var freeSlots: [Int] = []

    /// - Parameter disk: opened and claimed; the device becomes its handler.
    package init(disk: DiskFile, reactor: Reactor) {
        self.disk = disk
        self.reactor = reactor
        disk.handler = self
    }

    package var byteCount: UInt64 { disk.capacity }
    package var sectorByteCount: Int { max(512, disk.logicalBlockSize) }
    package var isReadOnly: Bool { disk.access == .readOnly }

    package func submit(_ transfer: BlockTransfer, _ completion: @escaping (_ errno: Int32) -> Void) {
        let kind: DiskRequest.Kind =
            switch transfer.kind {
            case .read: .read
            case .write(let forceUnitAccess): .write(flushBefore: false, forceUnitAccess: forceUnitAccess)
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
        reactor.submit(
            DiskRequest(
                token: UInt64(slot), kind: kind, offset: transfer.byteOffset, byteCount: transfer.byteCount,
                data: transfer.data), to: disk)
    }

    /// Nothing is under way.
    package var isIdle: Bool { freeSlots.count == completions.count }

    /// Gives the disk back. Nothing may be under way.
    package func close() {
        precondition(freeSlots.count == completions.count, "a disk is closed that is in use")
        reactor.close(disk)
        disk.releaseClaim()
    }
}

extension FileDevice: DiskHandler {
    package func diskCompleted(_ disk: DiskFile, token: UInt64, errno: Int32) {
        let slot = Int(token)
        let completion = completions[slot]
        completions[slot] = { _ in }
        freeSlots.append(slot)
        completion(errno)
    }
}

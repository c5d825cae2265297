package import EngineKit

/// Disks as they may be after a cut of power, made from what a ``MemoryDevice`` recorded.
///
/// The promise of a disk (and so the limit of what is done here): what completed before a flush began, and what was
/// written with FUA, is there. Of everything else each sector may be old or new, whatever the order of the writes; a
/// sector is never mixed.
package final class PowerCut {
    /// What becomes of writes that no flush covers.
    package enum Loss: CaseIterable, Sendable {
        case nothing
        case everything
        /// Each write is there or not.
        case someWrites
        /// As ``someWrites``, and of a write that is there sectors may be missing.
        case someSectors
    }

    private struct Write {
        var byteOffset: UInt64
        var bytes: [UInt8]
        var isDurable: Bool
    }

    private let durable: MemoryDevice
    private var pending: [Write] = []
    /// Records before the cut.
    package private(set) var position = 0

    /// - Parameter base: the disk before the first record. It is copied.
    package init(base: MemoryDevice, environment: VirtualEnvironment) {
        durable = base.copy(environment: environment)
    }

    /// Moves the cut behind the next record.
    package func pass(_ record: MemoryDevice.Record) {
        switch record {
        case .write(let byteOffset, let bytes, let forceUnitAccess):
            pending.append(Write(byteOffset: byteOffset, bytes: bytes, isDurable: forceUnitAccess))
        case .flush:
            for write in pending { Self.put(write.bytes[...], at: write.byteOffset, on: durable) }
            pending = []
        }
        position += 1
    }

    /// Whether a cut here can lose anything.
    package var canLose: Bool { pending.contains { !$0.isDurable } }

    /// The disk after a cut at this position.
    package func disk(
        _ loss: Loss, random: any RandomSource, environment: VirtualEnvironment
    ) -> MemoryDevice {
        let disk = durable.copy(environment: environment)
        for write in pending {
            let isKept =
                switch loss {
                case .nothing: true
                case .everything: write.isDurable
                case .someWrites, .someSectors: write.isDurable || random.next(below: 2) == 0
                }
            guard isKept else { continue }
            guard loss == .someSectors, !write.isDurable, random.next(below: 2) == 0 else {
                Self.put(write.bytes[...], at: write.byteOffset, on: disk)
                continue
            }
            let unit = disk.sectorByteCount
            for offset in stride(from: 0, to: write.bytes.count, by: unit) where random.next(below: 2) == 0 {
                Self.put(write.bytes[offset..<offset + unit], at: write.byteOffset + UInt64(offset), on: disk)
            }
        }
        return disk
    }

    private static func put(_ bytes: ArraySlice<UInt8>, at byteOffset: UInt64, on disk: MemoryDevice) {
        bytes.withUnsafeBytes { disk.write(at: byteOffset, $0) }
    }
}

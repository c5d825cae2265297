package import EngineKit
package import Journal

/// Why a volume could not be mounted.
package enum MountError: Error, Equatable, Sendable {
    /// No block size has a superblock.
    case notAVolume
    /// The superblock is not what the format says; in words.
    case badSuperblock(String)
    /// Features of the volume that are not served, by the names of mkfs.ocfs2.
    case unsupportedFeatures([String])
    /// Features that allow reading only, by the names of mkfs.ocfs2: mount with `ro`.
    case readOnlyFeatures([String])
    /// The volume is larger than the device; both in bytes.
    case deviceTooSmall(volume: UInt64, device: UInt64)
    /// The device writes larger units than the volume's blocks; both in bytes.
    case sectorTooLarge(sector: Int, block: Int)
    /// A system file or directory is missing or wrong.
    case corrupt(Corruption)
    case noFreeSlot
    /// Another host writes signs of life to the volume.
    case inUse(node: Int)
    /// The device cannot be written, and the journal of this slot must be replayed first.
    case dirtyJournal(slot: Int)
    case device(BlockDeviceError)
    case journal(JournalError)
    case failed(FileSystemError)
}

extension MountError {
    init(_ error: FileSystemError) {
        switch error {
        case .corrupt(let corruption): self = .corrupt(corruption)
        case .device(let error): self = .device(error)
        default: self = .failed(error)
        }
    }
}

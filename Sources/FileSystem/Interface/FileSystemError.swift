package import EngineKit
package import Journal

/// Metadata that is not what the format says.
package struct Corruption: Equatable, Sendable {
    /// The block that is wrong.
    package var block: UInt64
    /// The inode that it was read for, if any.
    package var inode: UInt64?
    /// Field, found and expected value, in words.
    package var what: String

    package init(block: UInt64, inode: UInt64? = nil, what: String) {
        self.block = block
        self.inode = inode
        self.what = what
    }
}

/// Why an operation of the filesystem failed. Becomes an errno at one place, the FUSE boundary.
package enum FileSystemError: Error, Equatable, Sendable {
    case notFound
    case alreadyExists
    case notADirectory
    case isADirectory
    case directoryNotEmpty
    case nameTooLong
    case noSpace
    case readOnly
    /// EPERM: immutable, append-only, not the owner.
    case notPermitted
    /// EACCES
    case accessDenied
    case invalidArgument
    /// EOPNOTSUPP
    case notSupported
    case tooManyLinks
    case fileTooLarge
    /// The object of this node is gone (ESTALE).
    case stale
    /// ENODATA
    case noAttribute
    /// The value does not fit the caller's buffer (ERANGE).
    case bufferTooSmall
    /// The value or list is larger than the format allows (E2BIG).
    case attributeTooLarge
    case tooManySymbolicLinks
    case busy
    case wouldBlock
    case interrupted
    /// No such data or hole beyond this offset (ENXIO).
    case noSuchRange
    case corrupt(Corruption)
    case device(BlockDeviceError)
    /// The mount does not write any more, for this reason (EIO).
    case aborted(String)
}

extension FileSystemError {
    package init(_ error: JournalError) {
        switch error {
        case .device(let error): self = .device(error)
        case .corrupt(let what): self = .aborted("the journal is corrupt: \(what)")
        case .aborted(let reason): self = .aborted(reason)
        case .tooLarge(let credits, let most):
            self = .aborted("a change of \(credits) blocks does not fit the journal, which takes \(most)")
        }
    }
}

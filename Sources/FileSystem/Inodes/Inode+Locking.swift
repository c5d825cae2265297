package import EngineKit

extension Inode {
    /// Takes ``gate`` and, below it, ``metaLock``: the right to read (shared) or to change (exclusive) everything of the
    /// inode. Balance with ``unlock(_:)``.
    package func lock(_ mode: AsyncReadWriteLock.Mode) async throws(FileSystemError) {
        await gate.lock(mode)
        do throws(FileSystemError) {
            try await metaLock.acquire(mode.level)
            do throws(FileSystemError) {
                try requirePresent()
            } catch {
                metaLock.release(mode.level)
                throw error
            }
        } catch {
            gate.unlock(mode)
            throw error
        }
    }

    /// Throws `stale` if the inode was freed, by this host or another. The caller holds ``metaLock``.
    func requirePresent() throws(FileSystemError) {
        if isGone { throw .stale }
    }

    package func unlock(_ mode: AsyncReadWriteLock.Mode) {
        metaLock.release(mode.level)
        gate.unlock(mode)
    }

    /// Runs `body` between ``lock(_:)`` and ``unlock(_:)``.
    package func locked<Result>(
        _ mode: AsyncReadWriteLock.Mode, _ body: () async throws(FileSystemError) -> Result
    ) async throws(FileSystemError) -> Result {
        try await lock(mode)
        defer { unlock(mode) }
        return try await body()
    }
}

extension AsyncReadWriteLock.Mode {
    fileprivate var level: LockLevel {
        switch self {
        case .shared: .protectedRead
        case .exclusive: .exclusive
        }
    }
}

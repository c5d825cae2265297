internal import EngineKit
internal import FUSELayout
internal import FileSystem
internal import LayoutKit

// flock(2). Locks of fcntl(2) stay in the kernel: POSIX_LOCKS is not agreed. Spec: fuse 2, 7.

extension FileSystemServer {
    func setLock(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer, waits: Bool
    ) throws(LayoutError) {
        let request = try FUSELockRequest(decoding: data)
        guard request.isFlock else {
            fail(header.unique, ErrorNumber.notSupported)
            return
        }
        if operations.sharesFileLocks { return setSharedLock(header, record, request, waits: waits) }
        let kind: FlockTable.Kind
        switch request.type {
        case .unlock:
            flocks.unlock(record.id, owner: request.owner)
            acknowledge(header.unique)
            return
        case .read: kind = .shared
        case .write: kind = .exclusive
        }
        if flocks.tryLock(record.id, owner: request.owner, kind) {
            acknowledge(header.unique)
        } else if !waits {
            fail(header.unique, ErrorNumber.again)
        } else {
            waitForLock(header, record, request.owner, kind)
        }
    }

    private func waitForLock(
        _ header: FUSERequestHeader, _ record: Record, _ owner: UInt64, _ kind: FlockTable.Kind
    ) {
        guard interrupts.beginWait(header.unique, node: record.id) else {
            fail(header.unique, ErrorNumber.interrupted)
            return
        }
        run(header, record) { [self] () async throws(FileSystemError) in
            guard phase == .serving, !interrupts.takeEarly(header.unique) else {
                interrupts.endWait(header.unique)
                throw .interrupted
            }
            let outcome = await withUnsafeContinuation { continuation in
                flocks.enqueue(record.id, owner: owner, kind, unique: header.unique, continuation)
            }
            interrupts.endWait(header.unique)
            switch outcome {
            case .granted: acknowledge(header.unique)
            case .wouldBlock: throw .wouldBlock
            case .interrupted: throw .interrupted
            }
        }
    }
}

// Locks that other hosts see too.
extension FileSystemServer {
    private func setSharedLock(
        _ header: FUSERequestHeader, _ record: Record, _ request: FUSELockRequest, waits: Bool
    ) {
        let owner = request.owner
        guard request.type != .unlock else {
            return run(header, record) { [self] () async throws(FileSystemError) in
                await operations.unlockFile(record.node, owner: owner)
                acknowledge(header.unique)
            }
        }
        guard !waits || interrupts.beginWait(header.unique, node: record.id) else {
            fail(header.unique, ErrorNumber.interrupted)
            return
        }
        let wait = SharedLockWait()
        sharedLockWaits[header.unique] = wait
        ask(record, owner, isExclusive: request.type == .write, waits: waits, wait)
        run(header, record) { [self] () async throws(FileSystemError) in
            if waits, interrupts.takeEarly(header.unique) { wait.interrupt() }
            let failure = await wait.ended()
            sharedLockWaits[header.unique] = nil
            interrupts.endWait(header.unique)
            if let failure { throw failure }
            acknowledge(header.unique)
        }
    }

    /// The request to the cluster goes on when the one of the process was interrupted: what it brings is given back.
    private func ask(
        _ record: Record, _ owner: UInt64, isExclusive: Bool, waits: Bool, _ wait: SharedLockWait
    ) {
        nodes.beginUse(record)
        host.start { [self] in
            var failure: FileSystemError?
            do throws(FileSystemError) {
                try await operations.lockFile(
                    record.node, owner: owner, isExclusive: isExclusive, mayWait: waits)
            } catch {
                failure = error
            }
            if !wait.end(failure), failure == nil { await operations.unlockFile(record.node, owner: owner) }
            nodes.endUse(record)
        }
    }

    /// An open file is closed.
    func unlockShared(_ record: Record, owner: UInt64) {
        nodes.beginUse(record)
        host.start { [self] in
            await operations.unlockFile(record.node, owner: owner)
            nodes.endUse(record)
        }
    }
}

/// A process that waits for a lock of the cluster.
final class SharedLockWait {
    private var outcome: FileSystemError??
    private let changed = AsyncSignal()

    /// False: nobody waits any more.
    func end(_ failure: FileSystemError?) -> Bool {
        guard outcome == nil else { return false }
        outcome = .some(failure)
        changed.notify()
        return true
    }

    func interrupt() {
        _ = end(.interrupted)
    }

    /// Nil: it was granted.
    func ended() async -> FileSystemError? {
        while true {
            if let outcome { return outcome }
            await changed.wait()
        }
    }
}

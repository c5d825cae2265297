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

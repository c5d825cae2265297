internal import CYoke
internal import Glibc
internal import Synchronization

/// The right to use a disk, against other processes and against other users in this one.
///
/// A file is locked with flock(2), a block device is opened with O_EXCL, which also collides with mounts and with
/// whatever else claims devices in the kernel. Given back when the object dies.
final class DiskClaim: Sendable {
    private struct Key: Hashable {
        var device: dev_t
        var inode: ino_t
        /// Number of the device itself for a device node, so that two nodes of one device meet.
        var node: dev_t
    }

    private struct Entry {
        var descriptor: Int32
        var isShared: Bool
        var userCount: Int
    }

    private static let entries = Mutex<[Key: Entry]>([:])
    private let key: Key

    private init(key: Key) {
        self.key = key
    }

    deinit {
        Self.entries.withLock { entries in
            guard var entry = entries[key] else { return }
            entry.userCount -= 1
            entries[key] = entry
            if entry.userCount == 0 {
                close(entry.descriptor)
                entries[key] = nil
            }
        }
    }

    /// Claims the file that `descriptor` is open on. Errors: EBUSY when somebody has it.
    ///
    /// - Parameter isShared: other shared claims of this process may join (indexed metadata of several volumes on one
    ///   device); those of other processes never.
    static func acquire(descriptor: Int32, path: String, isShared: Bool) throws(SystemError) -> DiskClaim {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw SystemError(operation: "fstat \(path)", code: errno) }
        let isDevice = yoke_is_block_device(status.st_mode) != 0
        let key =
            isDevice
            ? Key(device: 0, inode: 0, node: status.st_rdev)
            : Key(device: status.st_dev, inode: status.st_ino, node: 0)
        let code = entries.withLock { entries -> Int32 in
            if var entry = entries[key] {
                guard entry.isShared && isShared else { return EBUSY }
                entry.userCount += 1
                entries[key] = entry
                return 0
            }
            let lock = isDevice ? claimDevice(path: path, node: status.st_rdev) : lockFile(descriptor)
            guard lock >= 0 else { return -lock }
            entries[key] = Entry(descriptor: lock, isShared: isShared, userCount: 1)
            return 0
        }
        guard code == 0 else { throw SystemError(operation: "claim \(path)", code: code) }
        return DiskClaim(key: key)
    }

    /// A descriptor that holds the lock, or a negative error number.
    private static func lockFile(_ descriptor: Int32) -> Int32 {
        // A duplicate shares the open file, and the lock is the open file's.
        let duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard duplicate >= 0 else { return -errno }
        guard yoke_flock(duplicate, YOKE_LOCK_EXCLUSIVE) == 0 else {
            let code = errno
            close(duplicate)
            return code == EWOULDBLOCK ? -EBUSY : -code
        }
        return duplicate
    }

    /// A descriptor that holds the claim, or a negative error number.
    private static func claimDevice(path: String, node: dev_t) -> Int32 {
        let descriptor = open(path, O_RDONLY | O_EXCL | O_CLOEXEC)
        guard descriptor >= 0 else { return -errno }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_rdev == node else {
            close(descriptor)
            return -ENODEV
        }
        return descriptor
    }
}

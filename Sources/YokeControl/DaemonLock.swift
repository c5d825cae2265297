#if canImport(Glibc)
    internal import Glibc
#endif

/// One daemon for each root: an exclusive lock on `ROOT/run/yoke/yoked.lock`, which the kernel drops when the process
/// ends, however it ends.
package final class DaemonLock: Sendable {
    package enum Failure: Error, Equatable, CustomStringConvertible {
        case taken(root: String, processID: String)
        case cannotOpen(path: String, reason: String)

        package var description: String {
            switch self {
            case .taken(let root, let processID):
                "another yoked (pid \(processID)) already runs under \(root): stop it first, or give this one a root"
                    + " of its own with --root"
            case .cannotOpen(let path, let reason):
                "cannot lock \(path): \(reason); the directory must exist and be writable for yoked"
            }
        }
    }

    private let descriptor: Int32

    /// Makes the run directory if need be.
    package init(paths: InstallationPaths) throws(Failure) {
        let path = paths.lockFile
        for directory in [paths.path("/run"), paths.runDirectory] { mkdir(directory, 0o755) }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw .cannotOpen(path: path, reason: String(cString: strerror(errno)))
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            let owner = Self.contents(descriptor)
            close(descriptor)
            if code == EWOULDBLOCK { throw .taken(root: paths.root, processID: owner) }
            throw .cannotOpen(path: path, reason: String(cString: strerror(code)))
        }
        let text = Array("\(getpid())\n".utf8)
        ftruncate(descriptor, 0)
        _ = text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    private static func contents(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        let digits = bytes.prefix(max(0, count)).prefix { $0 >= 0x30 && $0 <= 0x39 }
        return digits.isEmpty ? "unknown" : String(decoding: digits, as: UTF8.self)
    }
}

internal import EngineKit
internal import Glibc

/// A backing device opened by an offline tool: a block device or a plain file, held exclusively.
///
/// Blocking system calls; used by commands, never on a reactor. Offsets and sizes are in bytes.
final class BlockFile {
    enum Failure: Error, Equatable {
        case cannotOpen(path: String, errno: Int32)
        /// Somebody else (a daemon, a mount) holds the device.
        case inUse(path: String)
        case notABlockDevice(path: String)
        case cannotRead(path: String, offset: UInt64, errno: Int32)
        case cannotWrite(path: String, offset: UInt64, errno: Int32)
        case beyondEnd(path: String, offset: UInt64, size: UInt64)
    }

    let path: String
    let size: UInt64
    private let descriptor: Int32

    /// - Parameter readOnly: reading commands do not claim the device.
    init(path: String, readOnly: Bool) throws(Failure) {
        var flags = (readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC
        var facts = stat()
        guard stat(path, &facts) == 0 else { throw .cannotOpen(path: path, errno: errno) }
        let isBlockDevice = facts.st_mode & Glibc.S_IFMT == Glibc.S_IFBLK
        guard isBlockDevice || facts.st_mode & Glibc.S_IFMT == Glibc.S_IFREG else {
            throw .notABlockDevice(path: path)
        }
        if isBlockDevice && !readOnly { flags |= O_EXCL }
        let descriptor = open(path, flags)
        guard descriptor >= 0 else {
            throw errno == EBUSY ? .inUse(path: path) : .cannotOpen(path: path, errno: errno)
        }
        // A daemon holds its plain files by the same lock.
        if !readOnly, !Self.lock(descriptor) {
            close(descriptor)
            throw .inUse(path: path)
        }
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else {
            let error = errno
            close(descriptor)
            throw .cannotOpen(path: path, errno: error)
        }
        self.path = path
        self.descriptor = descriptor
        size = UInt64(end)
    }

    /// A child that this process is just starting holds a copy of the descriptor until it has become its program, so a
    /// lock that was let go may live for a moment longer: half a second of patience.
    private static func lock(_ descriptor: Int32) -> Bool {
        for _ in 0..<50 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
            usleep(10_000)
        }
        return false
    }

    deinit {
        close(descriptor)
    }

    var sectors: UInt64 { size / 512 }

    func read(at offset: UInt64, count: Int) throws(Failure) -> [UInt8] {
        guard offset <= size, UInt64(count) <= size - offset else {
            throw .beyondEnd(path: path, offset: offset, size: size)
        }
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress! + done, count - done, off_t(offset) + off_t(done))
            }
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { throw .cannotRead(path: path, offset: offset, errno: got == 0 ? EIO : errno) }
            done += got
        }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(Failure) {
        guard offset <= size, UInt64(bytes.count) <= size - offset else {
            throw .beyondEnd(path: path, offset: offset, size: size)
        }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw .cannotWrite(path: path, offset: offset, errno: count == 0 ? EIO : errno) }
            done += count
        }
    }

    /// Everything written so far is on stable storage afterwards.
    func flush() throws(Failure) {
        guard fsync(descriptor) == 0 else { throw .cannotWrite(path: path, offset: 0, errno: errno) }
    }

    /// Writes zeroes over a range, in pieces.
    func clear(from offset: UInt64, count: UInt64) throws(Failure) {
        let piece = [UInt8](repeating: 0, count: Int(min(count, 1 << 20)))
        var position = offset
        let end = offset + count
        while position < end {
            let length = Int(min(end - position, UInt64(piece.count)))
            try write(length == piece.count ? piece : Array(piece[..<length]), at: position)
            position += UInt64(length)
        }
    }
}

extension BlockFile.Failure {
    /// What happened to which device, and what to do.
    var text: String {
        switch self {
        case .cannotOpen(let path, let errno):
            "open(\(path)) failed: \(String(cString: strerror(errno)))"
        case .inUse(let path):
            "open(\(path)) failed: Device or resource busy\n"
                + "It is mounted or used by a running resource: stop that first (drbdadm down, umount)."
        case .notABlockDevice(let path):
            "'\(path)' is not a block device!\nIt is no plain file either: give a block device or an image file."
        case .cannotRead(let path, let offset, let errno):
            "pread(\(path), ..., \(offset)) failed: \(String(cString: strerror(errno)))"
        case .cannotWrite(let path, let offset, let errno):
            "pwrite(\(path), ..., \(offset)) failed: \(String(cString: strerror(errno)))"
        case .beyondEnd(let path, let offset, let size):
            "\(path) ends at byte \(size); the meta data would lie at byte \(offset). The device is too small."
        }
    }
}

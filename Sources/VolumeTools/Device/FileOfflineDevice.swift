internal import CYoke
internal import Glibc

/// A block device or an image file, opened by a tool. For writing it is held exclusively: block devices against mounts
/// and other holders, files against the daemon and other tools.
package final class FileOfflineDevice: OfflineDevice {
    package let path: String
    package let byteCount: UInt64
    package let sectorSize: Int
    private let descriptor: Int32
    private let isBlockDevice: Bool

    package init(path: String, writable: Bool) throws(OfflineDeviceError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .cannotOpen(path: path, code: errno) }
        isBlockDevice = yoke_is_block_device(status.st_mode) != 0
        guard isBlockDevice || yoke_is_regular(status.st_mode) != 0 else { throw .notADevice(path: path) }
        if writable, let holder = DeviceUse.holder(of: path, status) { throw .inUse(path: path, by: holder) }
        var flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC
        if writable && isBlockDevice { flags |= O_EXCL }
        let descriptor = open(path, flags)
        guard descriptor >= 0 else {
            throw errno == EBUSY
                ? .inUse(path: path, by: "a mount or another program") : .cannotOpen(path: path, code: errno)
        }
        do throws(OfflineDeviceError) {
            if writable { try Self.lock(descriptor, path) }
            (byteCount, sectorSize) = try Self.size(descriptor, path, status, isBlockDevice)
        } catch {
            close(descriptor)
            throw error
        }
        self.path = path
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// A daemon holds its plain files by the same lock. A child that is just starting may keep a lock that was let go
    /// for a moment: half a second of patience.
    private static func lock(_ descriptor: Int32, _ path: String) throws(OfflineDeviceError) {
        for _ in 0..<50 {
            if yoke_flock(descriptor, YOKE_LOCK_EXCLUSIVE) == 0 { return }
            usleep(10_000)
        }
        throw .inUse(path: path, by: "a running resource or another tool")
    }

    private static func size(
        _ descriptor: Int32, _ path: String, _ status: stat, _ isBlockDevice: Bool
    ) throws(OfflineDeviceError) -> (UInt64, Int) {
        guard isBlockDevice else { return (UInt64(status.st_size), 512) }
        var size: UInt64 = 0
        var sector: Int32 = 512
        guard yoke_block_device_size(descriptor, &size) == 0, yoke_block_logical_size(descriptor, &sector) == 0 else {
            throw .cannotOpen(path: path, code: errno)
        }
        return (size, Int(sector))
    }

    private func requireInside(_ offset: UInt64, _ count: Int) throws(OfflineDeviceError) {
        guard offset <= byteCount, UInt64(count) <= byteCount - offset else {
            throw .beyondEnd(path: path, offset: offset, byteCount: byteCount)
        }
    }

    package func read(at offset: UInt64, count: Int) throws(OfflineDeviceError) -> [UInt8] {
        try requireInside(offset, count)
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress! + done, count - done, off_t(offset) + off_t(done))
            }
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { throw .cannotRead(path: path, offset: offset, code: got == 0 ? EIO : errno) }
            done += got
        }
        return bytes
    }

    package func write(_ bytes: [UInt8], at offset: UInt64) throws(OfflineDeviceError) {
        try requireInside(offset, bytes.count)
        var done = 0
        while done < bytes.count {
            let put = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
            }
            if put < 0 && errno == EINTR { continue }
            guard put > 0 else { throw .cannotWrite(path: path, offset: offset, code: put == 0 ? EIO : errno) }
            done += put
        }
    }

    /// Files get holes, block devices are told to zero; where neither is possible zeroes are written.
    package func clear(_ range: Range<UInt64>) throws(OfflineDeviceError) {
        guard !range.isEmpty else { return }
        try requireInside(range.lowerBound, range.count)
        let mode = isBlockDevice ? YOKE_ZERO_RANGE : YOKE_PUNCH_HOLE
        if fallocate(descriptor, mode, off_t(range.lowerBound), off_t(range.count)) == 0 { return }
        let piece = [UInt8](repeating: 0, count: min(range.count, 1 << 20))
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = Int(min(range.upperBound - offset, UInt64(piece.count)))
            try write(count == piece.count ? piece : Array(piece[..<count]), at: offset)
            offset += UInt64(count)
        }
    }

    package func flush() throws(OfflineDeviceError) {
        guard fsync(descriptor) == 0 else { throw .cannotWrite(path: path, offset: 0, code: errno) }
    }
}

extension OfflineDeviceError: CustomStringConvertible {
    /// What happened to which device, why, and what to do where that is not plain.
    package var description: String {
        switch self {
        case .cannotOpen(let path, let code):
            "Could not open device \(path): \(Self.text(code))"
                + (code == EROFS || code == EMEDIUMTYPE
                    ? "\nIt cannot be written: a Secondary? Make it Primary first (drbdadm primary)." : "")
        case .inUse(let path, let holder):
            "\(path) is in use by \(holder).\nStop that first (umount, drbdadm down, losetup -d)."
        case .notADevice(let path):
            "\(path) is neither a block device nor a file."
        case .beyondEnd(let path, let offset, let byteCount):
            "\(path) ends at byte \(byteCount); byte \(offset) was wanted."
        case .cannotRead(let path, let offset, let code):
            "Could not read \(path) at byte \(offset): \(Self.text(code))"
        case .cannotWrite(let path, let offset, let code):
            "Could not write \(path) at byte \(offset): \(Self.text(code))"
        }
    }

    private static func text(_ code: Int32) -> String { String(cString: strerror(code)) }
}

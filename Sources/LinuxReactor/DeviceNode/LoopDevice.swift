internal import CYoke
internal import Glibc

/// A loop device that is attached to a file, and freed by itself when this process dies and nobody else uses it.
package struct LoopDevice: Sendable {
    package let number: Int
    /// Keeps the device attached.
    private let descriptor: Int32

    package var path: String { "/dev/loop\(number)" }

    /// Whether this host has loop devices.
    package static var isAvailable: Bool { access("/dev/loop-control", R_OK | W_OK) == 0 }

    /// How often another process may snatch the free device away.
    private static let attemptsMax = 16

    /// Attaches a free loop device to an open file: direct I/O, so that nothing is cached twice and a flush means
    /// what it says. The file's descriptor may be closed afterwards.
    ///
    /// Waits for whoever serves the file: never from a thread that does.
    package static func attach(
        file: Int32, name: String, blockSize: Int = 512, isReadOnly: Bool = false
    ) throws(DeviceNodeError) -> LoopDevice {
        let control = open("/dev/loop-control", O_RDWR | O_CLOEXEC)
        guard control >= 0 else {
            throw DeviceNodeError("open /dev/loop-control", code: errno, advice: "load the loop module: modprobe loop")
        }
        defer { close(control) }
        for _ in 0..<attemptsMax {
            let number = Int(yoke_loop_free_number(control))
            guard number >= 0 else { throw DeviceNodeError("find a free loop device", code: errno) }
            if let device = try configure(number, file, name, blockSize, isReadOnly) { return device }
        }
        throw DeviceNodeError("attach a loop device", code: EBUSY, advice: "others took every free one first")
    }

    /// nil when somebody else was faster.
    private static func configure(
        _ number: Int, _ file: Int32, _ name: String, _ blockSize: Int, _ isReadOnly: Bool
    ) throws(DeviceNodeError) -> LoopDevice? {
        let path = "/dev/loop\(number)"
        var descriptor = open(path, (isReadOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC)
        if descriptor < 0 && errno == ENOENT {
            // Nobody makes nodes here, as in a container.
            _ = yoke_make_block_node(path, 0o660, loopMajor, UInt32(number))
            descriptor = open(path, (isReadOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC)
        }
        guard descriptor >= 0 else { throw DeviceNodeError("open \(path)", code: errno) }
        var flags = UInt32(LO_FLAGS_DIRECT_IO) | UInt32(LO_FLAGS_AUTOCLEAR)
        if isReadOnly { flags |= UInt32(LO_FLAGS_READ_ONLY) }
        guard yoke_loop_configure(descriptor, file, UInt32(blockSize), flags, name) == 0 else {
            let code = errno
            close(descriptor)
            if code == EBUSY { return nil }
            throw DeviceNodeError(
                "attach \(path) to \(name)", code: code,
                advice: code == EINVAL || code == ENOTTY ? "LOOP_CONFIGURE needs Linux 5.8" : "")
        }
        return LoopDevice(number: number, descriptor: descriptor)
    }

    /// Major number of loop devices on Linux.
    package static let loopMajor: UInt32 = 7

    /// Whether the kernel does direct I/O; it falls back silently when the file cannot.
    package var isDirect: Bool {
        let flags = yoke_loop_flags(descriptor)
        return flags >= 0 && UInt32(flags) & UInt32(LO_FLAGS_DIRECT_IO) != 0
    }

    /// Takes a device back that was detached while others had it open; nil when it is free by now.
    package func reattached() -> LoopDevice? {
        let again = open(path, O_RDWR | O_CLOEXEC)
        guard again >= 0 else { return nil }
        guard yoke_loop_flags(again) >= 0 else {
            close(again)
            return nil
        }
        return LoopDevice(number: number, descriptor: again)
    }

    /// Frees the device. While others have it open it lives on and is freed with their last close.
    package func detach() throws(DeviceNodeError) {
        let result = yoke_loop_clear(descriptor)
        let code = errno
        close(descriptor)
        guard result == 0 || code == ENXIO else { throw DeviceNodeError("detach \(path)", code: code) }
    }
}

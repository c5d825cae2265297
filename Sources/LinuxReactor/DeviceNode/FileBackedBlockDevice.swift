internal import Glibc

/// A block device whose content is served by this process: a FUSE file under a loop device.
///
/// ```
///   /dev/drbd0 (7:N)  --> loop N --> file in a FUSE mount --> /dev/fuse --> server in this process
/// ```
///
/// The mount is visible only while the loop device is attached to its file; then it is detached, so that nothing but
/// the loop device reaches the file and no dead mount point remains when the process dies. When the loop device is
/// freed, the mount ends and `/dev/fuse` reports ENODEV.
package struct FileBackedBlockDevice: Sendable {
    package let loop: LoopDevice

    /// Attaches a loop device to the file `fileName` in the mount and hides the mount.
    ///
    /// Waits for the server of the mount: call it from another thread, while the server runs. On failure the mount is
    /// detached as well.
    package static func attach(
        to mount: FUSEMount, fileName: String, blockSize: Int = 512, isReadOnly: Bool = false
    ) throws(DeviceNodeError) -> FileBackedBlockDevice {
        let path = mount.directory + "/" + fileName
        let file = open(path, (isReadOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC)
        guard file >= 0 else {
            let code = errno
            try? mount.detach()
            throw DeviceNodeError("open \(path)", code: code)
        }
        defer { close(file) }
        let loop: LoopDevice
        do throws(DeviceNodeError) {
            loop = try LoopDevice.attach(file: file, name: fileName, blockSize: blockSize, isReadOnly: isReadOnly)
        } catch {
            try? mount.detach()
            throw error
        }
        do throws(DeviceNodeError) {
            try mount.detach()
        } catch {
            try? loop.detach()
            throw error
        }
        return FileBackedBlockDevice(loop: loop)
    }

    /// Takes the device back that was detached while others had it open; nil when it is free by now.
    package func reattached() -> FileBackedBlockDevice? {
        loop.reattached().map { FileBackedBlockDevice(loop: $0) }
    }

    /// Frees the loop device; with it the mount ends, once nobody uses the device any more.
    package func detach() throws(DeviceNodeError) {
        try loop.detach()
    }
}

internal import CYoke
internal import Glibc

/// An open `/dev/fuse` with its mount. Spec: fuse 1.
///
/// All that looks below the mount point waits for the server: never from the thread that serves.
package struct FUSEMount: Sendable {
    /// `/dev/fuse`, nonblocking. Closing it ends the connection.
    package let descriptor: Int32
    package let directory: String

    /// Whether this host has FUSE.
    package static var isAvailable: Bool { access("/dev/fuse", R_OK | W_OK) == 0 }

    /// Mounts on `directory`, which must exist. Returns before the server has answered INIT.
    ///
    /// Only root can reach what is in it. `source` is what `/proc/mounts` shows.
    package static func mount(source: String, on directory: String) throws(DeviceNodeError) -> FUSEMount {
        let descriptor = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw DeviceNodeError("open /dev/fuse", code: errno, advice: "load the fuse module: modprobe fuse")
        }
        let options = "fd=\(descriptor),rootmode=40000,user_id=0,group_id=0,default_permissions"
        guard yoke_mount(source, directory, "fuse.yoke", YOKE_FUSE_MOUNT_FLAGS, options) == 0 else {
            let code = errno
            close(descriptor)
            throw DeviceNodeError("mount \(directory)", code: code, advice: "mounting needs root")
        }
        return FUSEMount(descriptor: descriptor, directory: directory)
    }

    /// Takes the mount out of sight at once; it ends when its last user is gone.
    package func detach() throws(DeviceNodeError) {
        try Self.detach(directory)
    }

    /// The same for a mount of an earlier process.
    package static func detach(_ directory: String) throws(DeviceNodeError) {
        guard yoke_unmount(directory, YOKE_UNMOUNT_DETACH) == 0 else {
            throw DeviceNodeError("unmount \(directory)", code: errno)
        }
    }
}

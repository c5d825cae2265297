internal import CYoke
internal import Glibc

/// How a FUSE filesystem is mounted.
package struct FUSEMountOptions: Sendable {
    /// Flags of mount(2) that the kernel carries out itself; numbers of Linux.
    package struct Flags: OptionSet, Sendable {
        package var rawValue: UInt

        package init(rawValue: UInt) {
            self.rawValue = rawValue
        }

        package static let readOnly = Flags(rawValue: 1 << 0)
        package static let noSetUserID = Flags(rawValue: 1 << 1)
        package static let noDevices = Flags(rawValue: 1 << 2)
        package static let noExecute = Flags(rawValue: 1 << 3)
        package static let synchronous = Flags(rawValue: 1 << 4)
        package static let directorySynchronous = Flags(rawValue: 1 << 7)
        package static let noAccessTimes = Flags(rawValue: 1 << 10)
        package static let noDirectoryAccessTimes = Flags(rawValue: 1 << 11)
        package static let relativeAccessTimes = Flags(rawValue: 1 << 21)
        package static let strictAccessTimes = Flags(rawValue: 1 << 24)
    }

    /// Shown as `fuse.x`.
    package var subtype: String
    package var flags: Flags
    /// Other users than root may use it.
    package var allowsOthers: Bool

    package init(subtype: String, flags: Flags = [], allowsOthers: Bool = true) {
        self.subtype = subtype
        self.flags = flags
        self.allowsOthers = allowsOthers
    }

    /// What a volume's single file is mounted with.
    package static let deviceNode = FUSEMountOptions(
        subtype: "yoke", flags: [.noSetUserID, .noDevices, .noExecute], allowsOthers: false)
}

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
    /// `source` is what `/proc/mounts` shows.
    package static func mount(
        source: String, on directory: String, _ options: FUSEMountOptions = .deviceNode
    ) throws(DeviceNodeError) -> FUSEMount {
        let descriptor = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw DeviceNodeError("open /dev/fuse", code: errno, advice: "load the fuse module: modprobe fuse")
        }
        var text = "fd=\(descriptor),rootmode=40000,user_id=0,group_id=0,default_permissions"
        if options.allowsOthers { text += ",allow_other" }
        let type = "fuse.\(options.subtype)"
        guard yoke_mount(source, directory, type, UInt(options.flags.rawValue), text) == 0 else {
            let code = errno
            close(descriptor)
            throw DeviceNodeError("mount \(directory)", code: code, advice: code == EPERM ? "mounting needs root" : "")
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

    /// Takes the mount out of sight and ends its connection in the kernel: who uses it gets errors. Closing `/dev/fuse` does
    /// not do it while a notification waits there for a request that nobody will answer any more. Spec: fuse 15.
    package static func cutOff(_ directory: String) throws(DeviceNodeError) {
        guard yoke_unmount(directory, unmountForce | YOKE_UNMOUNT_DETACH) == 0 else {
            throw DeviceNodeError("unmount \(directory)", code: errno)
        }
    }

    /// MNT_FORCE of Linux.
    private static let unmountForce: Int32 = 1

    /// Takes mounts out of the way whose server has died without unmounting: nobody can use them any more.
    package static func detachDead(_ directory: String) {
        var facts = stat()
        while stat(directory, &facts) != 0, errno == ENOTCONN {
            guard yoke_unmount(directory, YOKE_UNMOUNT_DETACH) == 0 else { return }
        }
    }

    /// Ends a mount that nobody uses. Errors: EBUSY. May wait for the server: never from the thread that serves.
    package static func unmount(_ directory: String) throws(DeviceNodeError) {
        guard yoke_unmount(directory, 0) == 0 else {
            let code = errno
            throw DeviceNodeError(
                "unmount \(directory)", code: code,
                advice: code == EBUSY ? "somebody uses it: fuser -vm \(directory)" : "")
        }
    }

    /// Has the kernel write back what mappings have left dirty. Waits for the server.
    package static func writeBack(_ directory: String) {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        syncfs(descriptor)
        close(descriptor)
    }
}

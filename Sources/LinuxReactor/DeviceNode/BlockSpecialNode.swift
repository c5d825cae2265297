internal import CYoke
internal import Glibc

/// The name under which programs know a volume, `/dev/drbdN` below the daemon's root.
///
/// A block special file of the same numbers as the loop or nbd device, so that `/proc/mounts` shows the name that
/// administrators look for; a symbolic link where special files cannot be made. What stands there and is not of these
/// kinds, as the node of the kernel's own DRBD, is never replaced or removed.
package enum BlockSpecialNode {
    /// Major numbers on Linux: what an earlier process may have left.
    private static let ownMajors: Set<UInt32> = [LoopDevice.loopMajor, KernelNBD.nbdMajor]

    /// Whether somebody has claimed the block device, as a mounted filesystem or a volume manager does.
    package static func isClaimed(_ path: String) -> Bool {
        let second = open(path, YOKE_OPEN_EXCLUSIVE)
        guard second >= 0 else { return errno == EBUSY }
        close(second)
        return false
    }

    /// Makes `path` name the block device `target`. Replaces what an earlier process left, at once.
    package static func create(_ path: String, for target: String) throws(DeviceNodeError) {
        var major: UInt32 = 0
        var minor: UInt32 = 0
        guard yoke_node_kind(target, 1, &major, &minor) == 1 else {
            throw DeviceNodeError("find the block device \(target)", code: ENOTBLK)
        }
        try requireOwn(path)
        let fresh = path + ".new"
        unlink(fresh)
        if yoke_make_block_node(fresh, 0o660, major, minor) != 0 {
            guard errno == EPERM || errno == EACCES, symlink(target, fresh) == 0 else {
                throw DeviceNodeError("make \(path)", code: errno)
            }
        }
        guard rename(fresh, path) == 0 else {
            let code = errno
            unlink(fresh)
            throw DeviceNodeError("make \(path)", code: code)
        }
    }

    /// Removes the node; nothing there is no error.
    package static func remove(_ path: String) throws(DeviceNodeError) {
        try requireOwn(path)
        guard unlink(path) == 0 || errno == ENOENT else { throw DeviceNodeError("remove \(path)", code: errno) }
    }

    private static func requireOwn(_ path: String) throws(DeviceNodeError) {
        var major: UInt32 = 0
        var minor: UInt32 = 0
        switch yoke_node_kind(path, 0, &major, &minor) {
        case -1:
            guard errno == ENOENT else { throw DeviceNodeError("look at \(path)", code: errno) }
        case 1 where ownMajors.contains(major):
            break
        case 2 where linkIsOwn(path):
            break
        default:
            throw DeviceNodeError(
                "make \(path)", code: EEXIST,
                advice: "it belongs to something else, perhaps the kernel's DRBD; remove it if it is left over")
        }
    }

    private static func linkIsOwn(_ path: String) -> Bool {
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &target, target.count)
        guard count > 0 else { return false }
        let text = String(decoding: target[..<count].lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.hasPrefix("/dev/loop") || text.hasPrefix("/dev/nbd")
    }
}

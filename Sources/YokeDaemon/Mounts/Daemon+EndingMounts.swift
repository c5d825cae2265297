internal import LinuxReactor
internal import Logging

// Mounts that somebody has unmounted a moment ago.
//
// umount(8) of util-linux 2.38 asks a helper of the type `fuse` only, which is not ours to be, so `umount DIR` returns
// while the volume is still being written back and left. The next command means the volume as it is after that: to mount
// it again, to demote the resource, to take it down.
extension Daemon {
    private static let noticeInterval = Duration.milliseconds(20)
    /// Until the end of a mount is noticed here; the kernel tells it at once.
    private static let noticeLimit = 100

    /// Waits for the end of those of the chosen mounts that are ending.
    func waitForEnding(_ isChosen: (ServedMount) -> Bool) async {
        for mount in mounts.all where isChosen(mount) {
            guard await isEnding(mount) else { continue }
            logger.info("\(mount.source): was unmounted from \(mount.directory); waiting until it is clean")
            await waitForEnd(of: mount)
        }
    }

    /// A mount that is in the table of mounts is not ending. One that is not may still have users (`umount --lazy`).
    private func isEnding(_ mount: ServedMount) async -> Bool {
        for _ in 0..<Self.noticeLimit {
            if mount.isEnding { return true }
            let directory = mount.directory
            let isMounted = await Self.blocking {
                guard let records = try? MountRecord.all() else { return true }
                return records.contains { $0.directory == directory && $0.type == "fuse.ocfs2" }
            }
            if isMounted { return false }
            try? await Task.sleep(for: Self.noticeInterval)
        }
        return false
    }
}

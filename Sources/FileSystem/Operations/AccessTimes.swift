import EngineKit
import OCFS2Layout

// Access times. Spec: ocfs2-disk-2 19 rule 4; ocfs2-cluster 7.
extension MountedVolume {
    /// Whether reading the inode now has to be noted.
    package func accessTimeIsDue(_ inode: Inode) -> Bool {
        let attributes = inode.attributes
        guard !isReadOnly, options.accessTimes != .never, !attributes.attributeFlags.contains(.noAccessTime),
            !(inode.isDirectory && options.directoriesKeepAccessTimes)
        else { return false }
        let last = attributes.accessTime
        // A user sets any time, to the ends of the range: what is too far away to subtract is long ago or long to come.
        let (difference, isTooFar) = environment.wallTime.seconds.subtractingReportingOverflow(last.seconds)
        let age = isTooFar ? (last.seconds < 0 ? .max : .min) : difference
        switch options.accessTimes {
        case .never: return false
        case .relative:
            return last.isNotLater(than: attributes.modificationTime)
                || last.isNotLater(than: attributes.changeTime) || age >= 24 * 3600
        case .strict: return age >= Int64(options.atimeQuantumSeconds)
        }
    }

    /// Notes that the inode was read, if that is due. A failure is not the reader's.
    ///
    /// The caller holds no metadata lock of the inode.
    package func noteAccess(_ inode: Inode) async {
        guard accessTimeIsDue(inode) else { return }
        do throws(FileSystemError) {
            // Not worth a lock that another host uses.
            guard try await inode.metaLock.tryAcquire(.exclusive) else { return }
            defer { inode.metaLock.release(.exclusive) }
            guard !inode.isGone, inode.attributes.linkCount > 0, accessTimeIsDue(inode) else { return }
            try await transaction(credits: Credits.inodeUpdate) { handle throws(FileSystemError) in
                inode.attributes.accessTime = self.environment.wallTime
                inode.storeAttributes(handle)
            }
        } catch {
            environment.log(.debug, "inode \(inode.number): the access time was not updated: \(error)")
        }
    }
}

extension WallTime {
    func isNotLater(than other: WallTime) -> Bool {
        (seconds, nanoseconds) <= (other.seconds, other.nanoseconds)
    }
}

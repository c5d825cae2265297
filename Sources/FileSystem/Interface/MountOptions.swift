/// How a volume is mounted; the names are those of mount(8). Spec: issue of the filesystem; kernel's documentation.
package struct MountOptions: Equatable, Sendable {
    package enum ErrorBehaviour: Sendable {
        case remountReadOnly
        case `continue`
        /// Ends the mount: every request fails. (The kernel resets the machine.)
        case panic
    }

    package enum AccessTimes: Sendable {
        case never, relative, strict
    }

    package var isReadOnly = false
    package var errors = ErrorBehaviour.remountReadOnly
    package var isDataOrdered = true
    /// Seconds between commits.
    package var commitSeconds = 5
    /// Seconds before an access time is renewed with ``AccessTimes/strict``.
    package var atimeQuantumSeconds = 60
    package var accessTimes = AccessTimes.relative
    package var directoriesKeepAccessTimes = false
    /// Size of the local-alloc window in MiB; nil: by the volume's geometry, 0: none.
    package var localAllocMiB: Int?
    package var acl = true
    package var userXattr = true
    package var preferredSlot: Int?
    /// `sync`: every change is durable when it returns, as of a file with chattr +S.
    package var isSynchronous = false
    /// `dirsync`: names are, as in a directory with chattr +D.
    package var hasSynchronousDirectories = false
    /// `localflocks`: flock(2) is this host's own affair.
    package var hasLocalFileLocks = false

    package init() {}
}

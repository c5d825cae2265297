/// The process on whose behalf an operation runs.
///
/// Permissions to read, write and search are checked by the kernel in front of us (`default_permissions`); what is left
/// for the filesystem is ownership of new objects and the rules that need more than the mode: set-group-ID, immutable.
package struct Caller: Equatable, Sendable {
    package var uid: UInt32
    package var gid: UInt32
    package var pid: UInt32
    /// Supplementary groups as far as the kernel sent them.
    package var groups: [UInt32]

    package init(uid: UInt32, gid: UInt32, pid: UInt32 = 0, groups: [UInt32] = []) {
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.groups = groups
    }

    /// The filesystem itself: recovery, tests, write-back of the kernel's page cache.
    package static let system = Caller(uid: 0, gid: 0)

    package var isPrivileged: Bool { uid == 0 }

    package func isMember(of group: UInt32) -> Bool {
        gid == group || groups.contains(group)
    }
}

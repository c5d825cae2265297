/// Every mount option that is known, and what it does here: those of the kernel's OCFS2 and those of mount(8).
///
/// The page docs/compatibility.md has the same list; a test compares them. Spec: ocfs2-cluster 17.1.
package enum MountOptionTable {
    package enum Support: Equatable, Sendable {
        case served
        /// Taken, without an effect that anybody could miss: a default, or a matter of mount(8) alone.
        case ignored
        /// Not taken, and why.
        case refused(String)
    }

    package struct Entry: Equatable, Sendable {
        /// As the documentation writes it: `ro`, `commit=N`, `errors=panic`.
        package var spelling: String
        package var support: Support

        /// The option as it could be given.
        package var sample: String {
            let parts = spelling.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { return spelling }
            return "\(parts[0])=\(parts[1] == "N" ? "1" : parts[1] == "TEXT" ? "text" : parts[1])"
        }

        /// Whether `word`, as given, is this option: with a value where the spelling has one, with this very value where
        /// it has a definite one.
        func means(_ word: Substring) -> Bool {
            let parts = spelling.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, ["N", "TEXT"].contains(parts[1]) else { return word == spelling }
            return word.hasPrefix(parts[0] + "=")
        }
    }

    package static let all: [Entry] = {
        let refusals = refused.map { Entry(spelling: $0.0, support: .refused($0.1)) }
        return served.map { Entry(spelling: $0, support: .served) }
            + ignored.map { Entry(spelling: $0, support: .ignored) } + refusals
    }()

    private static let served = [
        "ro", "noatime", "nodiratime", "relatime", "strictatime", "atime_quantum=N", "nosuid", "nodev", "noexec",
        "sync", "async", "dirsync", "localflocks", "acl", "noacl", "user_xattr", "nouser_xattr", "errors=remount-ro",
        "errors=continue",
        "errors=panic", "data=ordered", "data=writeback", "commit=N", "localalloc=N", "preferred_slot=N", "slot=N",
        "heartbeat=local", "heartbeat=none", "hb=local", "hb=none", StandingMount.option,
    ]
    private static let ignored = [
        "defaults", "rw", "suid", "dev", "exec", "atime", "diratime", "norelatime", "nostrictatime", "auto",
        "noauto", "user", "nouser", "users", "group", "owner", "_netdev", "nofail", "loud", "silent", "intr", "nointr",
        "inode64", "barrier=1", "coherency=full", "coherency=buffered", "resv_level=N",
        "dir_resv_level=N", "cluster_stack=o2cb", "stack=o2cb", "comment", "comment=TEXT",
    ]
    private static let refused = [
        ("heartbeat=global", "Yoke does not serve the global heartbeat, use local"),
        ("hb=global", "Yoke does not serve the global heartbeat, use local"),
        ("cluster_stack=TEXT", "Yoke serves the stack o2cb only"), ("stack=TEXT", "Yoke serves the stack o2cb only"),
        ("barrier=0", "what is synced is flushed to the disks in any case"),
        ("journal_async_commit", "a commit block is written when what it commits is on the disk"),
        ("usrquota", "quota is not served yet"), ("grpquota", "quota is not served yet"),
    ]

    static func support(of word: Substring) -> Support? { all.first { $0.means(word) }?.support }
}

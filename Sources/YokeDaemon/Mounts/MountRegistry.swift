internal import Synchronization

/// The filesystems that this daemon serves. Usable from any thread.
final class MountRegistry: Sendable {
    private struct State {
        /// In the order they were mounted.
        var mounts: [ServedMount] = []
        /// Sources that are being mounted.
        var reserved: [String] = []
        var isClosed = false
    }

    private let state = Mutex(State())

    /// Sorted by the time of mounting.
    var all: [ServedMount] { state.withLock { $0.mounts } }

    /// Takes a source for a mount that begins; false when it is mounted or being mounted, or the daemon ends.
    func reserve(_ source: String) -> Bool {
        state.withLock { state in
            guard !state.isClosed, !state.reserved.contains(source),
                !state.mounts.contains(where: { $0.source == source })
            else { return false }
            state.reserved.append(source)
            return true
        }
    }

    func release(_ source: String) {
        state.withLock { state in state.reserved.removeAll { $0 == source } }
    }

    /// The mount of a reserved source is there.
    func add(_ mount: ServedMount) {
        state.withLock { state in
            state.reserved.removeAll { $0 == mount.source }
            state.mounts.append(mount)
        }
    }

    func remove(_ mount: ServedMount) {
        state.withLock { state in state.mounts.removeAll { $0 === mount } }
    }

    /// No mount begins any more.
    func close() {
        state.withLock { $0.isClosed = true }
    }

    /// The latest mount on a directory or of a source.
    func find(_ word: String) -> ServedMount? {
        state.withLock { state in state.mounts.last { $0.directory == word || $0.source == word } }
    }
}

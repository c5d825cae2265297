internal import Synchronization

/// Mounts of fstab that the daemon keeps and that are not up: what each waits for. Usable from any thread.
final class WaitingMounts: Sendable {
    private let waiting = Mutex<[MountReport]>([])

    /// Sorted by the time of their first wait.
    var reports: [MountReport] { waiting.withLock { $0 } }

    func set(_ source: String, _ directory: String, _ obstacle: String) {
        waiting.withLock { waiting in
            if let index = waiting.firstIndex(where: { $0.directory == directory }) {
                waiting[index].obstacle = obstacle
            } else {
                waiting.append(MountReport(source: source, directory: directory, obstacle: obstacle))
            }
        }
    }

    func remove(_ directory: String) {
        waiting.withLock { waiting in waiting.removeAll { $0.directory == directory } }
    }
}

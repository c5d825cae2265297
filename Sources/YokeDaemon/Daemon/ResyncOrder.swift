internal import DRBDLayout
internal import Replication
internal import Synchronization

/// `resync-after` across resources: a volume waits while the one before it resyncs, or is paused itself.
///
/// Told on the threads of runners; tells them back what changed. Spec: drbd-config-and-tools 5.2, drbd-disk-and-state
/// 11.1 (9).
final class ResyncOrder: Sendable {
    private struct Entry {
        var after: Int?
        var isBusy = false
        var isDiskless = true
        /// What the volume was told last.
        var mustWait = false
    }

    private let entries = Mutex<[Int: Entry]>([:])

    /// Notes the volumes of one resource and returns the minors that must be told something new.
    func update(_ volumes: [VolumeReport]) -> [(minor: Int, mustWait: Bool)] {
        entries.withLock { entries in
            for volume in volumes {
                let state = volume.snapshot.state
                var entry = entries[volume.minor] ?? Entry()
                entry.after = volume.snapshot.diskOptions?.resyncAfterMinor
                entry.isBusy = state.isSyncing || state.aftrIsp || state.peerIsp || state.userIsp
                entry.isDiskless = state.disk == .diskless
                entries[volume.minor] = entry
            }
            return Self.changes(&entries)
        }
    }

    func remove(_ minors: [Int]) -> [(minor: Int, mustWait: Bool)] {
        entries.withLock { entries in
            for minor in minors { entries[minor] = nil }
            return Self.changes(&entries)
        }
    }

    private static func changes(_ entries: inout [Int: Entry]) -> [(minor: Int, mustWait: Bool)] {
        var changes: [(minor: Int, mustWait: Bool)] = []
        for minor in entries.keys.sorted() {
            let mustWait = mustWait(minor, entries)
            guard entries[minor]?.mustWait != mustWait else { continue }
            entries[minor]?.mustWait = mustWait
            changes.append((minor, mustWait))
        }
        return changes
    }

    /// Follows the chain to its end; a cycle ends where it began.
    private static func mustWait(_ minor: Int, _ entries: [Int: Entry]) -> Bool {
        var next = entries[minor]?.after
        var steps = 0
        while let current = next, let entry = entries[current], steps <= entries.count {
            if entry.isDiskless { return false }
            if entry.isBusy { return true }
            next = entry.after
            steps += 1
        }
        return false
    }
}

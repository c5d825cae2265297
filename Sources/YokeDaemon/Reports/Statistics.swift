package import Replication

/// A field of `status --statistics` and `events2 --statistics`: `name:value`.
package struct StatisticsField: Equatable, Sendable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: some CustomStringConvertible) {
        self.name = name
        self.value = value.description
    }

    package var text: String { name + ":" + value }
}

/// Counters in the units and the order of `drbdsetup`: KiB. Spec: drbd-config-and-tools 12.2, 13.
extension VolumeSnapshot {
    package var sizeKiB: UInt64 { sizeSectors / 2 }
    package var outOfSyncKiB: UInt64 { outOfSyncBits * 4 }

    /// `no`, `upper`, `lower` or both.
    package var blockedWord: String {
        switch (isBlockedByUpper, isBlockedByLower) {
        case (false, false): "no"
        case (true, false): "upper"
        case (false, true): "lower"
        case (true, true): "upper,lower"
        }
    }

    /// `size` to `lower-pending`; the flags that seldom change come apart.
    package var deviceCounters: [StatisticsField] {
        [
            StatisticsField("size", sizeKiB), StatisticsField("read", readSectors / 2),
            StatisticsField("written", writtenSectors / 2), StatisticsField("al-writes", activityLogWrites),
            StatisticsField("bm-writes", bitmapWrites), StatisticsField("upper-pending", applicationPending),
            StatisticsField("lower-pending", localPending),
        ]
    }

    package var deviceFlags: [StatisticsField] {
        [
            StatisticsField("al-suspended", isActivityLogSuspended ? "yes" : "no"),
            StatisticsField("blocked", blockedWord),
        ]
    }

    package var deviceStatistics: [StatisticsField] { deviceCounters + deviceFlags }

    package var peerStatistics: [StatisticsField] {
        [
            StatisticsField("received", receivedSectors / 2), StatisticsField("sent", sentSectors / 2),
            StatisticsField("out-of-sync", outOfSyncKiB), StatisticsField("pending", peerPending),
            StatisticsField("unacked", unacknowledged),
        ]
    }

    /// Share of the device that is in sync, in hundredths of a percent; of the device's size, not of the resync.
    package var doneHundredths: UInt64 {
        let size = sizeKiB
        guard size > 0 else { return 10_000 }
        let inSync = size - min(size, outOfSyncKiB)
        return (inSync * 20_000 / size + 1) / 2
    }
}

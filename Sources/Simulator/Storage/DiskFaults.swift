/// What is wrong with a disk at the moment. Everything here heals when the fault is taken away.
package struct DiskFaults {
    /// Each operation takes this many times as long.
    ///
    /// Promise: nothing depends on how fast a disk is, except `disk-timeout`, which is off in histories
    /// (drbd-disk-and-state 15.1).
    package var slowness = 1

    /// Reads that touch these bytes fail with EIO.
    ///
    /// Promise: whatever `on-io-error` says, an application's read that fails here is answered by the peer if the peer
    /// is UpToDate (drbd-disk-and-state 15.1).
    package var unreadable: Range<Int>?

    /// Writes, discards and flushes that touch these bytes (a flush touches all) fail with EIO; any part of the data may
    /// have reached the disk.
    ///
    /// Promise: a write counts as good if either copy succeeded, and the failed block is out of sync
    /// (drbd-disk-and-state 15.1). A failed write of metadata makes the disk Failed. A failed flush of a volatile cache
    /// loses completed writes for good; what the other copy has of them comes back from there.
    package var unwritable: Range<Int>?

    /// Writes where nothing was ever stored fail with ENOSPC: a sparse file on a full filesystem.
    ///
    /// Promise: as for failed writes.
    package var isFull = false

    package init() {}

    package var isHealthy: Bool { slowness == 1 && unreadable == nil && unwritable == nil && !isFull }
    /// Whether an operation may fail.
    package var mayFail: Bool { unreadable != nil || unwritable != nil || isFull }
}

/// How much of what a disk had not yet made durable is there after a crash.
///
/// Promise: an application that did not flush may lose what it wrote since its last flush on a host that loses
/// power, as on any disk; and what a disk has acknowledged to a flush or with forced unit access is never lost
/// (drbd-wire 13). A sector of 512 bytes is written as a whole or not at all.
package enum CrashDamage: Sendable {
    case everythingReached
    case nothingReached
    /// Each write as a whole: reached with this chance in 100.
    case someWrites(percent: Int)
    /// Each sector by itself: writes are torn.
    case someSectors(percent: Int)
}

/// What is remembered of a directory between operations. Only hints: losing it costs time.
package final class DirectoryState {
    /// A walk over the whole free list found no block for this many bytes.
    var failedNeed = Int.max
    /// Bytes that removals have freed since then.
    var bytesFreedSinceFailure = 0
    /// Directories without an index: no block before this one has room for ``linearNeed`` bytes.
    var linearStart: UInt64 = 0
    var linearNeed = 0
    /// The last lookup whose inode was not in memory: block and offset of its entry.
    var lastMiss: (block: UInt64, offset: Int) = (0, 0)
    /// Locks of the names under this directory that this host knows, by inode.
    var dentryLocks: [UInt64: DentryLock] = [:]

    package init() {}

    /// Another host may have changed the directory.
    func forget() {
        failedNeed = .max
        bytesFreedSinceFailure = 0
        linearStart = 0
        linearNeed = 0
    }
}

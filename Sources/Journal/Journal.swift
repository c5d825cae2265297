package import EngineKit

/// Why the journal cannot do what was asked.
package enum JournalError: Error, Equatable, Sendable {
    case device(BlockDeviceError)
    /// The journal's own blocks are not what they should be.
    case corrupt(String)
    /// A former error (named) stopped the journal: nothing can be changed any more.
    case aborted(String)
    /// More blocks than a transaction of this journal can hold.
    case tooLarge(credits: Int, most: Int)
}

/// The write-ahead log of one slot: JBD2 as OCFS2 uses it. Spec: ocfs2-disk 14.
///
/// **Transactions.** All handles that are open at a time belong to the running transaction. A commit waits until they
/// end, copies the images of its blocks, and lets new handles in at once; then writes the log, a flush, the commit
/// block. Checkpointing writes committed images to their places and moves the log's tail.
package final class Journal {
    package struct Options: Sendable {
        /// Time from the first change to its commit.
        package var commitInterval: Duration = .seconds(5)

        package init() {}
    }

    /// A run of the journal file on the volume.
    package struct Run: Equatable, Sendable {
        package var block: UInt64
        package var blockCount: UInt32

        package init(block: UInt64, blockCount: UInt32) {
            self.block = block
            self.blockCount = blockCount
        }
    }

    /// - Parameter runs: the journal file's extents, in order.
    package init(
        cache: BlockCache, runs: [Run], options: Options, sealer: any BlockSealer, environment: any EngineEnvironment
    ) {
        fatalError("not built")
    }

    /// Told once when the journal stops for good.
    package var onAbort: ((JournalError) -> Void)?

    /// Replays the log of this or another slot to the volume and empties it. Spec: ocfs2-disk 14.5.
    ///
    /// The caller handles the dirty flag of the journal's dinode. Cached copies of replayed blocks are forgotten.
    package static func replay(
        cache: BlockCache, runs: [Run], environment: any EngineEnvironment
    ) async throws(JournalError) -> Int {
        fatalError("not built")
    }

    /// Begins to use the log: what is in it is over. Spec: ocfs2-disk 14.6.
    package func start() async throws(JournalError) {
        fatalError("not built")
    }

    /// Opens a handle for at most `credits` blocks; waits while the transaction or the log is full.
    ///
    /// Holding one, a task may read blocks, but may not wait for a cluster lock, an inode's lock, a commit or data I/O.
    package func begin(credits: Int) async throws(JournalError) -> JournalHandle {
        fatalError("not built")
    }

    /// The number of the running transaction; what is changed now is durable when this one is committed.
    package var runningTransaction: UInt64 { fatalError("not built") }
    /// The last one that is on stable storage.
    package var committedTransaction: UInt64 { fatalError("not built") }

    /// Returns when `transaction` is on stable storage, committing if need be.
    package func commit(_ transaction: UInt64) async throws(JournalError) {
        fatalError("not built")
    }

    /// Commits all, writes every block to its place, and empties the log (s_start = 0). Spec: ocfs2-disk 14.4 rule 6.
    package func flush() async throws(JournalError) {
        fatalError("not built")
    }

    /// Flushes and ends. Spec: ocfs2-disk 14.6.
    package func stop() async throws(JournalError) {
        fatalError("not built")
    }

    /// Ends without writing anything more: this host must not write any longer.
    package func abort(_ reason: String) {
        fatalError("not built")
    }
}

/// The right to change metadata blocks as one step: after a crash all or none of them are changed.
package final class JournalHandle {
    init() {}

    /// Adds the block to the transaction. Before or after changing its bytes, but before ``end()``; any number of times.
    package func modify(_ block: MetadataBlock) {
        fatalError("not built")
    }

    /// Takes more credits without leaving the transaction; false if it has no room: end this handle and begin another.
    package func extend(credits: Int) -> Bool {
        fatalError("not built")
    }

    /// The transaction that the changes belong to.
    package var transaction: UInt64 { fatalError("not built") }

    /// Runs `body` when the transaction is committed (not when the journal is aborted).
    package func afterCommit(_ body: @escaping () -> Void) {
        fatalError("not built")
    }

    /// Every handle is ended exactly once.
    package func end() {
        fatalError("not built")
    }
}

package import EngineKit
import JournalLayout

/// The write-ahead log of one slot: JBD2 as OCFS2 uses it. Spec: ocfs2-disk 14.
///
/// **Transactions.** All handles that are open at a time belong to the running transaction. A commit waits until they
/// end, copies the images of its blocks, and lets new handles in at once; then writes the log, a flush, the commit
/// block. Checkpointing writes committed images to their places and moves the log's tail.
///
/// **Order on disk** (spec: ocfs2-disk 14.4):
/// 1. Data that the caller has completed, descriptors and images, then a flush, then the commit block with FUA.
/// 2. Images go to their places only after their commit block; then a flush, then the superblock with the new tail and
///    FUA; then the log's space is used again.
/// 3. One commit, one checkpoint at a time.
///
/// **Space.** Handles wait, first come first served, until what all open handles may still change fits the transaction
/// (a quarter of the log) and the free part of the log. So a commit never lacks space.
package final class Journal {
    package struct Options: Sendable {
        /// Time from the first change to its commit.
        package var commitInterval: Duration = .seconds(5)
        /// A transaction of this size is committed before its time: its images are held in memory until they are in
        /// their places.
        package var transactionByteCount = 16 << 20
        /// Log in use, and so memory held for images, above which images are brought to their places.
        package var unwrittenByteCountMax = 32 << 20

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

    /// What happened since the start.
    package struct Statistics: Equatable, Sendable {
        package var commits = 0
        package var blocksLogged = 0
        package var checkpoints = 0
        package var blocksWrittenHome = 0
        /// Handles that had to wait: for a commit that copies, or a full transaction; for log space.
        package var waitsForTransaction = 0
        package var waitsForLogSpace = 0
        /// Handles that changed more blocks than they had asked for. A bug of the caller that the journal survives.
        package var creditOverruns = 0
    }

    enum State: Equatable {
        case notStarted, started, stopped
        case aborted(String)
    }

    /// A task that waits in ``begin(credits:)``.
    struct Waiter {
        let credits: Int
        let continuation: UnsafeContinuation<Bool, Never>
    }

    let cache: BlockCache
    let runs: [Run]
    let options: Options
    let sealer: any BlockSealer
    let environment: any EngineEnvironment

    /// Told once when the journal stops for good.
    package var onAbort: ((JournalError) -> Void)?
    package internal(set) var statistics = Statistics()

    var state = State.notStarted
    /// nil until the start.
    var file: LogFile?
    /// Log position of the next transaction, its number there, and the log blocks between tail and head.
    var head: UInt32 = 0
    var nextSequence: UInt32 = 0
    var usedBlockCount = 0
    /// The superblock says that the log is empty: the next commit has to set the tail.
    var isEmptyOnDisk = false
    /// Images in one transaction at most.
    var imageCountMax = 0

    var running = Transaction(id: 1)
    var committing: Transaction?
    /// Committed, but not in their places; oldest first.
    var committed: [Transaction] = []
    var wantedTransaction: UInt64 = 0
    var isCommitting = false
    var isCheckpointing = false
    let checkpointLock = AsyncReadWriteLock()
    /// While above 0 no handle is opened.
    var barriers = 0
    var waiters: [Waiter] = []
    /// A transaction was committed, or the journal stopped.
    let progress = AsyncSignal()
    let lastHandleEnded = AsyncSignal()

    /// - Parameter runs: the journal file's extents, in order.
    package init(
        cache: BlockCache, runs: [Run], options: Options, sealer: any BlockSealer, environment: any EngineEnvironment
    ) {
        self.cache = cache
        self.runs = runs
        self.options = options
        self.sealer = sealer
        self.environment = environment
    }

    /// Begins to use the log: what is in it is over. Spec: ocfs2-disk 14.6.
    package func start() async throws(JournalError) {
        precondition(state == .notStarted, "a journal is started once")
        var file = try await LogFile(cache: cache, runs: runs)
        // Old transactions must not look like successors of new ones: go on behind them.
        let scan = try await LogScan(file, environment: environment)
        nextSequence = scan.endSequence &+ 1
        head = file.map.first
        try await file.writeSuperblock(start: head, sequence: nextSequence)
        imageCountMax = Self.imageCountMax(file)
        self.file = file
        state = .started
    }

    /// The most images with descriptors and commit block in a quarter of the log. Spec: ocfs2-disk 14.4 rule 8.
    private static func imageCountMax(_ file: LogFile) -> Int {
        let room = file.map.capacity / 4
        var count = room
        while file.logBlockCount(imageCount: count) > room { count -= 1 }
        return count
    }

    /// The most credits that a handle can have; 0 before the start.
    package var creditsMax: Int { imageCountMax }

    /// The number of the running transaction; what is changed now is durable when this one is committed.
    package var runningTransaction: UInt64 { running.id }
    /// The last one that is on stable storage.
    package internal(set) var committedTransaction: UInt64 = 0

    /// Returns when `transaction` is on stable storage, committing if need be.
    package func commit(_ transaction: UInt64) async throws(JournalError) {
        precondition(transaction <= running.id, "transaction \(transaction) has not begun")
        var target = transaction
        // Nothing was changed since the last one was frozen.
        if target == running.id, running.blocks.isEmpty, running.openHandles == 0, !running.isLocked { target -= 1 }
        if target > committedTransaction { want(commitOf: target) }
        while target > committedTransaction {
            try requireStarted()
            // Ends with the device's answer: progress comes after a commit and after an abort.
            await progress.wait()
        }
        try requireStarted()
    }

    /// Commits all, writes every block to its place, and empties the log (s_start = 0). Spec: ocfs2-disk 14.4 rule 6.
    ///
    /// Handles that begin meanwhile wait until it is done.
    package func flush() async throws(JournalError) {
        try requireStarted()
        barriers += 1
        defer {
            barriers -= 1
            admitWaiters()
        }
        try await commit(running.id)
        await checkpointLock.lock(.exclusive)
        defer { checkpointLock.unlock(.exclusive) }
        try await checkpoint()
        guard !isEmptyOnDisk else { return }
        do throws(JournalError) {
            try await writeTail(start: 0, sequence: nextSequence)
        } catch {
            fail(error)
            throw error
        }
        isEmptyOnDisk = true
    }

    /// Flushes and ends. Spec: ocfs2-disk 14.6.
    package func stop() async throws(JournalError) {
        try await flush()
        state = .stopped
        admitWaiters()
    }

    /// Ends without writing anything more: this host must not write any longer.
    package func abort(_ reason: String) {
        fail(.aborted(reason))
    }

    /// Stops for good and tells everybody who waits.
    func fail(_ error: JournalError) {
        if case .aborted = state { return }
        state = .aborted("\(error)")
        environment.log(.error, "journal: aborted: \(error)")
        running.afterCommit = []
        committing?.afterCommit = []
        admitWaiters()
        progress.notify()
        lastHandleEnded.notify()
        let tell = onAbort
        onAbort = nil
        tell?(error)
    }

    /// What the journal waits for, in words: for the log when something takes too long.
    package var waits: String {
        "\(running.openHandles) open handles, \(waiters.count) waiting, \(barriers) barriers, "
            + "\(isCommitting ? "committing" : "no commit"), \(isCheckpointing ? "checkpointing" : "no checkpoint"), "
            + "\(usedBlockCount) log blocks in use"
    }

    func requireStarted() throws(JournalError) {
        switch state {
        case .started: return
        case .notStarted: throw .aborted("the journal is not started")
        case .stopped: throw .aborted("the journal is stopped")
        case .aborted(let reason): throw .aborted(reason)
        }
    }
}

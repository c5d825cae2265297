import EngineKit

extension Journal {
    /// Opens a handle for at most `credits` blocks; waits while the transaction or the log is full.
    ///
    /// Holding one, a task may read blocks, but may not wait for a cluster lock, an inode's lock, a commit or data I/O.
    package func begin(credits: Int) async throws(JournalError) -> JournalHandle {
        try requireStarted()
        guard credits <= imageCountMax else { throw .tooLarge(credits: credits, most: imageCountMax) }
        if waiters.isEmpty, admits(credits) {
            take(credits)
        } else {
            // Ends when the commit, checkpoint or flush in the way does, or with an abort.
            let isAdmitted = await withUnsafeContinuation { waiters.append(Waiter(credits: credits, continuation: $0)) }
            guard isAdmitted else {
                try requireStarted()
                preconditionFailure("a handle is refused by a journal that works")
            }
        }
        // An admitted handle keeps its transaction running.
        return JournalHandle(self, running, credits: credits)
    }

    /// Lets in who fits, in the order of arrival. To be called whenever there may be more room.
    func admitWaiters() {
        var count = 0
        while count < waiters.count {
            let waiter = waiters[count]
            if state == .started {
                guard admits(waiter.credits, isFirstTry: false) else { break }
                take(waiter.credits)
                waiter.continuation.resume(returning: true)
            } else {
                waiter.continuation.resume(returning: false)
            }
            count += 1
        }
        waiters.removeFirst(count)
    }

    /// Whether a handle may begin now; if not, sees to it that it may soon.
    private func admits(_ credits: Int, isFirstTry: Bool = true) -> Bool {
        guard barriers == 0, !running.isLocked else {
            if isFirstTry { statistics.waitsForTransaction += 1 }
            return false
        }
        let imageCount = running.blockCountAtMost + credits
        if imageCount > imageCountMax {
            if isFirstTry { statistics.waitsForTransaction += 1 }
            want(commitOf: running.id)
            return false
        }
        if logBlockCount(imageCount) > freeBlockCount {
            if isFirstTry { statistics.waitsForLogSpace += 1 }
            wantCheckpoint()
            return false
        }
        return true
    }

    private func take(_ credits: Int) {
        running.openHandles += 1
        running.outstandingCredits += credits
    }

    /// Whether `credits` more fit the transaction.
    func hasRoom(for credits: Int, in transaction: Transaction) -> Bool {
        let imageCount = transaction.blockCountAtMost + credits
        return imageCount <= imageCountMax && logBlockCount(imageCount) <= freeBlockCount
    }

    func ended(_ transaction: Transaction) {
        transaction.openHandles -= 1
        if transaction.openHandles == 0 { lastHandleEnded.notify() }
        if transaction.blocks.count * cache.blockSize >= options.transactionByteCount {
            want(commitOf: transaction.id)
        }
        // What it did not use is free for others.
        if !waiters.isEmpty { admitWaiters() }
    }

    /// Starts the time to the commit.
    func firstChange(in transaction: Transaction) {
        let id = transaction.id
        environment.call(at: environment.now + options.commitInterval) { [weak self] in
            guard let self, state == .started, running.id == id else { return }
            want(commitOf: id)
        }
    }

    func overran(credits: Int, used: Int) {
        statistics.creditOverruns += 1
        guard statistics.creditOverruns == 1 else { return }
        environment.log(.warning, "journal: a change of \(used) blocks had asked for \(credits)")
    }

    private func logBlockCount(_ imageCount: Int) -> Int {
        file!.logBlockCount(imageCount: imageCount)
    }

    var freeBlockCount: Int { file!.map.capacity - usedBlockCount }
}

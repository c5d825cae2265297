import EngineKit
import JournalLayout
import LayoutKit

extension Journal {
    /// Commits up to `transaction`, soon. Requests that come before a commit copies its images share it.
    func want(commitOf transaction: UInt64) {
        wantedTransaction = max(wantedTransaction, transaction)
        guard !isCommitting, state == .started else { return }
        isCommitting = true
        environment.spawn { [self] in
            while wantedTransaction > committedTransaction, state == .started {
                await commitRunning()
            }
            isCommitting = false
        }
    }

    private func commitRunning() async {
        let transaction = running
        transaction.isLocked = true
        while transaction.openHandles > 0, state == .started { await lastHandleEnded.wait() }
        guard state == .started else { return }
        do throws(JournalError) {
            let log = transaction.blocks.isEmpty ? nil : try freeze(transaction)
            running = Transaction(id: transaction.id + 1)
            committing = transaction
            admitWaiters()
            if let log { try await write(log) }
        } catch {
            fail(error)
        }
        guard state == .started else { return }
        finish(transaction)
    }

    /// Copies the images of the transaction's blocks, in one go: nobody changes a byte meanwhile.
    private func freeze(_ transaction: Transaction) throws(JournalError) -> LogWrite {
        let count = file!.logBlockCount(imageCount: transaction.blocks.count)
        guard count <= freeBlockCount else {
            throw .corrupt("a transaction of \(count) blocks finds \(freeBlockCount) in the log")
        }
        transaction.sequence = nextSequence
        transaction.logStart = head
        transaction.logBlockCount = count
        let log = LogWrite(transaction, file!, cache)
        nextSequence &+= 1
        head = file!.map.position(head, advancedBy: count)
        usedBlockCount += count
        return log
    }

    private func write(_ log: LogWrite) async throws(JournalError) {
        try await log.seal(sealer, environment)
        try requireStarted()
        var transfers = log.transfers
        if isEmptyOnDisk {
            transfers.append(
                file!.superblockWrite(start: log.transaction.logStart, sequence: log.transaction.sequence))
            isEmptyOnDisk = false
        }
        let device = cache.device
        try await reportingDeviceErrors { [transfers] () async throws(BlockDeviceError) in
            try await device.perform(transfers)
        }
        try requireStarted()
        try await reportingDeviceErrors { () async throws(BlockDeviceError) in try await device.flush() }
        try requireStarted()
        let commit = log.commitTransfer(at: environment.wallTime)
        try await reportingDeviceErrors { () async throws(BlockDeviceError) in try await device.perform(commit) }
    }

    /// The transaction is on stable storage.
    private func finish(_ transaction: Transaction) {
        committing = nil
        committedTransaction = transaction.id
        for frozen in transaction.frozen {
            let block = frozen.block
            // The older image need not be written any more.
            if block.committedTransaction != 0 { block.removeUnwrittenImage() }
            block.committedTransaction = transaction.id
        }
        if !transaction.frozen.isEmpty {
            committed.append(transaction)
            statistics.commits += 1
            statistics.blocksLogged += transaction.logBlockCount
        }
        let calls = transaction.afterCommit
        transaction.afterCommit = []
        transaction.blocks = []
        for call in calls { call() }
        progress.notify()
        if usedBlockCount > file!.map.capacity / 2
            || usedBlockCount * cache.blockSize > options.unwrittenByteCountMax
        {
            wantCheckpoint()
        }
        admitWaiters()
    }
}

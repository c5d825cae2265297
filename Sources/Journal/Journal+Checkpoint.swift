import EngineKit

extension Journal {
    /// Brings committed images to their places, soon.
    func wantCheckpoint() {
        guard !isCheckpointing, !committed.isEmpty, state == .started else { return }
        isCheckpointing = true
        environment.spawn { [self] in
            await checkpointLock.lock(.exclusive)
            // Who held the lock may have been the one that stopped the journal: then there is nothing left to do.
            if state == .started {
                // The error has aborted the journal, which tells everybody.
                do throws(JournalError) { try await checkpoint() } catch { fail(error) }
            }
            checkpointLock.unlock(.exclusive)
            isCheckpointing = false
            // Handles that need still more space ask for the next one.
            admitWaiters()
        }
    }

    /// Writes the newest image of every block of the committed transactions to its place and gives their log space
    /// free. One at a time: the caller holds ``checkpointLock``.
    func checkpoint() async throws(JournalError) {
        try requireStarted()
        let batch = committed
        guard let last = batch.last else { return }
        do throws(JournalError) {
            try await writeHome(batch)
            try await moveTail(past: last)
        } catch {
            fail(error)
            throw error
        }
        statistics.checkpoints += 1
        for transaction in batch {
            for frozen in transaction.frozen where frozen.block.committedTransaction == transaction.id {
                frozen.block.committedTransaction = 0
                frozen.block.removeUnwrittenImage()
            }
            transaction.frozen = []
        }
        committed.removeFirst(batch.count)
        cache.trim()
        admitWaiters()
    }

    /// Bytes under way at a time.
    private static let homeByteCountMax = 8 << 20

    private func writeHome(_ batch: [Transaction]) async throws(JournalError) {
        var images: [HomeImage] = []
        for transaction in batch {
            for frozen in transaction.frozen where frozen.block.committedTransaction == transaction.id {
                images.append(HomeImage(block: frozen.block.number, slice: frozen.homeImage))
            }
        }
        images.sort { $0.block < $1.block }
        let device = cache.device
        let countMax = Self.homeByteCountMax / cache.blockSize
        var first = 0
        while first < images.count {
            let part = Array(images[first..<min(first + countMax, images.count)])
            let transfers = HomeWrites(part, cache: cache).transfers
            try await reportingDeviceErrors { () async throws(BlockDeviceError) in
                try await device.perform(transfers)
            }
            try requireStarted()
            first += part.count
        }
        statistics.blocksWrittenHome += images.count
        try await reportingDeviceErrors { () async throws(BlockDeviceError) in try await device.flush() }
        try requireStarted()
    }

    /// Sets the tail behind `last` on disk, then gives the space before it free.
    private func moveTail(past last: Transaction) async throws(JournalError) {
        var tail = (start: head, sequence: nextSequence)
        var blocksKept = 0
        let later = committed.filter { $0.id > last.id } + (committing.map { [$0] } ?? [])
        if let next = later.first(where: { $0.logBlockCount > 0 }) {
            tail = (next.logStart, next.sequence)
            blocksKept = later.reduce(0) { $0 + $1.logBlockCount }
        }
        let blocksFreed = usedBlockCount - blocksKept
        try await writeTail(start: tail.start, sequence: tail.sequence)
        usedBlockCount -= blocksFreed
    }

    /// Writes the superblock, durably.
    func writeTail(start: UInt32, sequence: UInt32) async throws(JournalError) {
        try requireStarted()
        let transfer = file!.superblockWrite(start: start, sequence: sequence)
        let device = cache.device
        try await reportingDeviceErrors { () async throws(BlockDeviceError) in try await device.perform(transfer) }
        try requireStarted()
    }
}

internal import DRBDLayout
internal import EngineKit

// Writing bitmap blocks. Any number of jobs run at once; a block is written by one of them at a time.
// Spec: drbd-disk-and-state 6.

/// A set of bitmap blocks on their way to the disk.
final class BitmapJob {
    enum Scope {
        /// What changed since it was last written.
        case changed
        case all
        /// These blocks, if they changed.
        case blocks([Int])
    }

    let scope: Scope
    private let completion: (ReplicationEngine, Bool) -> Void
    /// Next block (or index into the list of blocks) to look at.
    var cursor = 0
    var operationsPending = 0
    var isSuccess = true

    init(_ scope: Scope, _ completion: @escaping (ReplicationEngine, Bool) -> Void) {
        self.scope = scope
        self.completion = completion
    }

    func finish(_ engine: ReplicationEngine) {
        completion(engine, isSuccess)
    }
}

extension ReplicationEngine {
    /// Blocks of one operation, and operations of one job, at the most.
    private static let blocksPerOperationMax = 64
    private static let operationsPerJobMax = 8

    /// Writes bitmap blocks; `completion` gets false when a write failed (the disk is failing then).
    ///
    /// With metadata on a device of its own the data is flushed first: what the activity log stands for no more after
    /// this must survive a power failure. Other metadata takes it along: what follows is written with a flush.
    func writeBitmap(
        _ volume: Volume, _ scope: BitmapJob.Scope, _ completion: @escaping (ReplicationEngine, Bool) -> Void
    ) {
        guard let disk = volume.disk, !disk.isAbandoned else {
            completion(self, false)
            return
        }
        let job = BitmapJob(scope, completion)
        disk.bitmapJobs.append(job)
        guard disk.hasSeparateMetadata, disk.hasUnflushedData else {
            advance(job, volume, disk)
            return
        }
        job.operationsPending += 1
        flushData(volume, disk) { engine, errno in
            job.operationsPending -= 1
            if errno != 0 { job.isSuccess = false }
            engine.advanceBitmapJobs(volume, disk)
        }
    }

    /// Writes the changed blocks as a step of `lane`.
    func writeChangedBitmap(_ volume: Volume, _ lane: SerialWork.Lane) -> SerialWork.Outcome {
        guard volume.usableDisk != nil else { return .done }
        let ticket = ticket(lane)
        writeBitmap(volume, .changed) { engine, _ in engine.resume(ticket) }
        return .waits
    }

    private func advanceBitmapJobs(_ volume: Volume, _ disk: Disk) {
        for job in disk.bitmapJobs { advance(job, volume, disk) }
    }

    /// Submits what the job may submit now; finishes it when nothing is left.
    private func advance(_ job: BitmapJob, _ volume: Volume, _ disk: Disk) {
        while job.isSuccess, job.operationsPending < Self.operationsPerJobMax {
            guard let block = nextBlock(of: job, disk) else { break }
            if disk.bitmap.isBeingWritten(block: block) { return }
            submitBitmapBlocks(from: block, job, volume, disk)
        }
        guard job.operationsPending == 0, !job.isSuccess || nextBlock(of: job, disk) == nil else { return }
        disk.bitmapJobs.removeAll { $0 === job }
        job.finish(self)
    }

    /// The next block that this job has to write; moves the cursor over those that need it not.
    private func nextBlock(of job: BitmapJob, _ disk: Disk) -> Int? {
        switch job.scope {
        case .all:
            return job.cursor < disk.bitmap.blockCount ? job.cursor : nil
        case .changed:
            // What another job is writing has to be waited for.
            guard let block = disk.bitmap.nextUnwrittenBlock(from: job.cursor) else { return nil }
            job.cursor = block
            return block
        case .blocks(let blocks):
            while job.cursor < blocks.count {
                let block = blocks[job.cursor]
                guard block < disk.bitmap.blockCount else {
                    // Of an extent behind the end of a device that shrank.
                    job.cursor += 1
                    continue
                }
                if disk.bitmap.isChanged(block: block) || disk.bitmap.isBeingWritten(block: block) { return block }
                job.cursor += 1
            }
            return nil
        }
    }

    private func submitBitmapBlocks(from first: Int, _ job: BitmapJob, _ volume: Volume, _ disk: Disk) {
        var count = 1
        switch job.scope {
        case .all, .changed:
            while count < Self.blocksPerOperationMax, first + count < disk.bitmap.blockCount,
                !disk.bitmap.isBeingWritten(block: first + count), isWanted(first + count, job, disk)
            {
                count += 1
            }
            job.cursor = first + count
        case .blocks:
            job.cursor += 1
        }
        let blocks = first..<first + count
        let claimsData = disk.hasUnflushedData && blocks.contains { disk.bitmap.hasClearedBits(block: $0) }
        let data = metadataBuffer(byteCount: count * 4096)
        for (index, block) in blocks.enumerated() {
            disk.bitmap.beginWrite(block: block, into: data.part(offset: index * 4096, count: 4096).bytes)
        }
        job.operationsPending += 1
        volume.counters.bitmapWrites += UInt64(count)
        guard claimsData, disk.hasSeparateMetadata else {
            writeBitmapBlocks(blocks, data, job, volume, disk, flushesBefore: claimsData)
            return
        }
        flushData(volume, disk) { engine, errno in
            guard errno == 0 else { return engine.bitmapBlocksWritten(blocks, job, volume, disk, errno: errno) }
            engine.writeBitmapBlocks(blocks, data, job, volume, disk, flushesBefore: false)
        }
    }

    /// - Parameter flushesBefore: a bit that is cleared on disk says that the block's data is there: what was complete
    ///   when the blocks were copied out is flushed first.
    private func writeBitmapBlocks(
        _ blocks: Range<Int>, _ data: IOSlice, _ job: BitmapJob, _ volume: Volume, _ disk: Disk, flushesBefore: Bool
    ) {
        submitMetadata(
            volume, disk, .write(flushBefore: flushesBefore, forceUnitAccess: false),
            sector: disk.geometry.bitmapSector + UInt64(blocks.lowerBound) * 8, data: data
        ) { engine, errno in
            engine.bitmapBlocksWritten(blocks, job, volume, disk, errno: errno)
        }
    }

    private func bitmapBlocksWritten(
        _ blocks: Range<Int>, _ job: BitmapJob, _ volume: Volume, _ disk: Disk, errno: Int32
    ) {
        job.operationsPending -= 1
        for block in blocks { disk.bitmap.finishWrite(block: block, succeeded: errno == 0) }
        if errno != 0 {
            job.isSuccess = false
            metadataFailed(volume, "writing bitmap block \(blocks.lowerBound)", errno: errno)
        }
        advanceBitmapJobs(volume, disk)
    }

    private func isWanted(_ block: Int, _ job: BitmapJob, _ disk: Disk) -> Bool {
        if case .changed = job.scope { return disk.bitmap.isChanged(block: block) }
        return true
    }

    /// Changes the whole bitmap and writes it, so that a crash in between leaves "everything differs" behind.
    /// `body` gets whether it succeeded. Spec: drbd-disk-and-state 4 rule 3.
    ///
    /// - Parameter changesSize: waits until no block is being written: it may not be there afterwards.
    func rewriteBitmap(
        _ volume: Volume, changesSize: Bool = false, _ alter: @escaping (Bitmap) -> Void,
        _ body: @escaping (ReplicationEngine, Bool) -> Void
    ) {
        guard let disk = volume.disk else {
            body(self, false)
            return
        }
        disk.flags.insert(.fullSync)
        disk.touch()
        disk.rewritesUnderWay += 1
        syncMetadata(volume) { engine in
            engine.when({ _ in !changesSize || disk.bitmapJobs.isEmpty || disk.isAbandoned }) { engine in
                engine.alterBitmap(volume, disk, alter, body)
            }
        }
    }

    private func alterBitmap(
        _ volume: Volume, _ disk: Disk, _ alter: (Bitmap) -> Void, _ body: @escaping (ReplicationEngine, Bool) -> Void
    ) {
        guard volume.disk === disk, !disk.isAbandoned else {
            body(self, false)
            return
        }
        alter(disk.bitmap)
        disk.bitmap.markAllChanged()
        writeBitmap(volume, .all) { engine, isSuccess in
            disk.rewritesUnderWay -= 1
            guard isSuccess, volume.disk === disk else {
                body(engine, false)
                return
            }
            if disk.rewritesUnderWay == 0 { disk.flags.remove(.fullSync) }
            disk.touch()
            engine.syncMetadata(volume) { engine in body(engine, volume.disk === disk) }
        }
    }
}

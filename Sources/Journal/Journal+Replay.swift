package import EngineKit
import JournalLayout
import LayoutKit

extension Journal {
    /// Replays the log of this or another slot to the volume and empties it. Spec: ocfs2-disk 14.5.
    ///
    /// The caller handles the dirty flag of the journal's dinode. Cached copies of replayed blocks get the new contents
    /// and count as unchecked.
    ///
    /// - Returns: how many transactions were replayed.
    package static func replay(
        cache: BlockCache, runs: [Run], environment: any EngineEnvironment
    ) async throws(JournalError) -> Int {
        var file = try await LogFile(cache: cache, runs: runs)
        let scan = try await LogScan(file, environment: environment)
        let images = scan.imagesToReplay()
        try check(images, file, cache)
        var first = 0
        let batchCount = replayByteCount / cache.blockSize
        while first < images.count {
            let batch = Array(images[first..<min(first + batchCount, images.count)])
            try await write(batch, from: file, cache)
            first += batch.count
            await environment.yield()
        }
        // The images first, then the end of the log that they are in.
        let device = cache.device
        try await reportingDeviceErrors { () async throws(BlockDeviceError) in try await device.flush() }
        try await file.writeSuperblock(start: 0, sequence: scan.endSequence &+ 1)
        if scan.transactionCount > 0 {
            environment.log(
                .notice,
                "journal: \(scan.transactionCount) transactions replayed, \(images.count) blocks, the last was "
                    + "\(scan.endSequence &- 1)")
        }
        return scan.transactionCount
    }

    private static let replayByteCount = 1 << 20

    /// Nothing is written unless everything can be.
    private static func check(
        _ images: [LogScan.Image], _ file: LogFile, _ cache: BlockCache
    ) throws(JournalError) {
        let blockCount = cache.device.byteCount / UInt64(cache.blockSize)
        for image in images {
            guard image.target < blockCount else {
                throw .corrupt(
                    "transaction \(image.sequence) of the log changes block \(image.target), the device has \(blockCount)"
                )
            }
            guard !file.map.holds(image.target) else {
                throw .corrupt(
                    "transaction \(image.sequence) of the log changes block \(image.target), its own journal")
            }
            guard cache.cached(image.target)?.unwrittenImages ?? 0 == 0 else {
                throw .corrupt(
                    "transaction \(image.sequence) of the log changes block \(image.target), which this host has changed"
                )
            }
        }
    }

    /// Copies images (ascending by target) from the log to their places.
    private static func write(
        _ images: [LogScan.Image], from file: LogFile, _ cache: BlockCache
    ) async throws(JournalError) {
        let blockSize = cache.blockSize
        let buffer = LogFile.buffer(images.count * blockSize)
        // Read in the order of the log, where neighbours come with one transfer.
        let order = images.indices.sorted { images[$0].position < images[$1].position }
        var reads: [BlockTransfer] = []
        var slices = [IOSlice](repeating: buffer, count: images.count)
        var next = 0
        while next < order.count {
            let first = next
            let place = file.map.place(of: images[order[first]].position)
            repeat {
                slices[order[next]] = buffer.part(offset: next * blockSize, count: blockSize)
                next += 1
            } while next < order.count && next - first < place.contiguousCount
                && images[order[next]].position == images[order[first]].position + UInt32(next - first)
            let byteCount = (next - first) * blockSize
            reads.append(
                BlockTransfer(
                    .read, at: cache.byteOffset(of: place.block), byteCount: byteCount,
                    data: buffer.part(offset: first * blockSize, count: byteCount)))
        }
        let device = cache.device
        try await reportingDeviceErrors { [reads] () async throws(BlockDeviceError) in try await device.perform(reads) }
        var homes: [HomeImage] = []
        for (image, slice) in zip(images, slices) {
            if image.isEscaped { slice.bytes[JournalBlockHeader.Field.magic] = JournalBlockHeader.magic }
            homes.append(HomeImage(block: image.target, slice: slice))
        }
        let writes = HomeWrites(homes, cache: cache).transfers
        try await reportingDeviceErrors { () async throws(BlockDeviceError) in try await device.perform(writes) }
        for home in homes {
            guard let block = cache.cached(home.block) else { continue }
            block.bytes.copyMemory(from: UnsafeRawBufferPointer(home.slice.bytes))
            block.kind = 0
        }
    }
}

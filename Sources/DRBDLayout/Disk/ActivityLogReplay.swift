package import LayoutKit

/// What an activity log says after a crash. Spec: drbd-disk-and-state 5.5.
package struct ActivityLogReplay: Equatable, Sendable {
    /// The extents of 4 MiB that may differ from the peer, ascending, without repetition. They count only when the
    /// superblock has the flag PRIMARY_IND.
    package var extents: [UInt32]
    /// Blocks without valid magic, sum, type or counts. They are tolerated and to be reported.
    package var corruptBlocks: Int
    /// Number of the last transaction; nil when the log is empty.
    package var newest: UInt32?

    package init(extents: [UInt32], corruptBlocks: Int, newest: UInt32?) {
        self.extents = extents
        self.corruptBlocks = corruptBlocks
        self.newest = newest
    }

    /// None of the blocks is valid.
    package struct Unusable: Error, Equatable, Sendable, CustomStringConvertible {
        package var blockCount: Int
        /// What is wrong with the block of transaction 0.
        package var firstError: LayoutError

        package var description: String {
            "no usable activity log: none of \(blockCount) blocks is valid; first block: \(firstError)"
        }
    }

    /// Reads the whole log, block after block as it lies on disk. A length other than that of the log is a bug of the
    /// caller.
    package init(log: UnsafeRawBufferPointer, striping: ActivityLogStriping) throws(Unusable) {
        let blockCount = Int(striping.blockCount)
        precondition(
            log.count == blockCount * ActivityLogTransaction.byteCount,
            "a log of \(blockCount) blocks has not \(log.count) bytes")
        var ring = Ring()
        for position in 0..<blockCount {
            let block = Int(striping.block(atRingPosition: UInt32(position)))
            let bytes = log.part(
                offset: block * ActivityLogTransaction.byteCount, count: ActivityLogTransaction.byteCount)
            do throws(LayoutError) {
                ring.append(try ActivityLogTransaction(decoding: bytes), at: position)
            } catch {
                ring.firstError = ring.firstError ?? error
                ring.corruptBlocks += 1
            }
        }
        if let error = ring.firstError, ring.corruptBlocks == blockCount {
            throw Unusable(blockCount: blockCount, firstError: error)
        }
        extents = ring.extents()
        corruptBlocks = ring.corruptBlocks
        newest = ring.newest?.transaction.number
    }
}

/// The valid updates of a log in the order of the ring.
private struct Ring {
    struct Entry {
        let position: Int
        let transaction: ActivityLogTransaction
    }

    private var entries: [Entry] = []
    private var oldestIndex = 0
    private var newestIndex = 0
    var corruptBlocks = 0
    var firstError: LayoutError?

    var newest: Entry? { entries.isEmpty ? nil : entries[newestIndex] }

    mutating func append(_ transaction: ActivityLogTransaction, at position: Int) {
        guard transaction.kind == .update else { return }
        entries.append(Entry(position: position, transaction: transaction))
        let index = entries.count - 1
        if Self.isBefore(transaction.number, entries[oldestIndex].transaction.number) { oldestIndex = index }
        if Self.isBefore(entries[newestIndex].transaction.number, transaction.number) { newestIndex = index }
    }

    /// Numbers wrap: their signed difference decides.
    private static func isBefore(_ left: UInt32, _ right: UInt32) -> Bool {
        Int32(bitPattern: left &- right) < 0
    }

    /// The extents in the slots after the oldest to the newest transaction were applied.
    func extents() -> [UInt32] {
        guard !entries.isEmpty else { return [] }
        // Every slot that a 16-bit start and a whole context can name.
        var slots = [UInt32](
            repeating: ActivityLogTransaction.freeExtent, count: 0x1_0000 + ActivityLogTransaction.contextCount)
        var index = oldestIndex
        while true {
            apply(entries[index].transaction, to: &slots)
            if index == newestIndex { break }
            index = (index + 1) % entries.count
        }
        var found = slots.filter { $0 != ActivityLogTransaction.freeExtent }
        found.sort()
        return found.reduce(into: []) { result, extent in
            if result.last != extent { result.append(extent) }
        }
    }

    private func apply(_ transaction: ActivityLogTransaction, to slots: inout [UInt32]) {
        for (index, extent) in transaction.context.enumerated() {
            let slot = Int(transaction.contextStart) + index
            guard slot < Int(transaction.slotCount) || extent != ActivityLogTransaction.freeExtent else { continue }
            slots[slot] = extent
        }
        for update in transaction.updates {
            slots[Int(update.slot)] = update.extent
        }
    }
}

package import DRBDLayout

/// Which extents of 4 MiB may differ from the peer after a crash: the slots of the log in core, and the transactions
/// that tell the disk. Spec: drbd-disk-and-state 5.
///
/// **Use.** A write asks ``begin(_:resync:)`` for its extents before it goes anywhere. If they are not all durable in
/// the log, it waits for the transaction that brings them; ``prepareTransaction()`` collects what waits,
/// ``commitTransaction()`` tells that it is durable. ``end(_:)`` drops the references when the request has left the
/// transfer log: not before, since until then its bits may still be set.
///
/// **Order.** Bitmap blocks of the evicted extents, then the transaction, then the write.
///
/// **Invariants.**
/// - A slot with references keeps its extent.
/// - An extent is in at most one slot.
/// - While a transaction is under way others collect for the next one; the disk sees them in order.
package struct ActivityLog {
    package enum Admission: Equatable, Sendable {
        /// References are taken, the extents are durable in the log.
        case ready
        /// The log is suspended: no references are taken, go on and do not call ``end(_:)``.
        case notLogged
        /// References are taken; go on when ``committedSequence`` has reached this number.
        case needsTransaction(UInt64)
        /// Nothing is taken; ask again.
        case mustWait(WaitReason)
    }

    package enum WaitReason: Equatable, Sendable {
        /// The next transaction is full; after it was prepared there is room.
        case transactionFull
        /// All slots are in use; ``end(_:)`` makes room.
        case slotsInUse
        /// A resync request holds one of the extents; ``ResyncExtents/unlock(_:)`` frees it.
        case resync
    }

    /// A transaction to be written, and what must be durable before.
    package struct Prepared: Equatable, Sendable {
        package var sequence: UInt64
        package var transaction: ActivityLogTransaction
        /// Extents that leave the log with this transaction; their changed bitmap blocks go first.
        package var evictedExtents: [UInt32]
    }

    package static let extentShift = 13
    private static let free = ActivityLogTransaction.freeExtent

    /// While every bit is set no extent is worth logging. Spec: drbd-disk-and-state 5.3.
    package var isSuspended = false
    /// False with `al-updates no`: slots are managed, nothing is written.
    package var writesTransactions = true
    /// Number of the next transaction; to be carried over from attach to attach.
    package private(set) var transactionNumber: UInt32
    /// Transactions up to this one are durable.
    package private(set) var committedSequence: UInt64 = 0

    private let faults: PlantedFaults
    /// The extent in each slot, the pending ones included.
    private var slots: [UInt32]
    /// The extent in each slot as the last prepared transaction left it.
    private var loggedSlots: [UInt32]
    private var references: [UInt32]
    /// The transaction that brought or will bring the slot's extent.
    private var sequences: [UInt64]
    private var slotOfExtent: [UInt32: Int] = [:]
    /// Slots below this one were never used; free slots are taken from the highest down.
    private var freeSlots: Int
    /// Slots without references, free ones excepted.
    private var unused: SlotQueue
    private var pendingSlots: [Int] = []
    private var pendingEvictions: [UInt32] = []
    private var preparedSequence: UInt64 = 0
    private var contextStart = 0

    /// - Parameters:
    ///   - slotCount: `al-extents`, clamped to what the log area can describe.
    ///   - transactionNumber: where an earlier attach of the same run stopped.
    package init(slotCount: Int, transactionNumber: UInt32 = 0, faults: PlantedFaults = []) {
        precondition(slotCount > 0 && slotCount <= 65534, "\(slotCount) slots in an activity log")
        self.transactionNumber = transactionNumber
        self.faults = faults
        slots = Array(repeating: Self.free, count: slotCount)
        loggedSlots = slots
        references = Array(repeating: 0, count: slotCount)
        sequences = Array(repeating: 0, count: slotCount)
        slotOfExtent.reserveCapacity(slotCount)
        freeSlots = slotCount
        unused = SlotQueue(slotCount: slotCount)
    }

    package var slotCount: Int { slots.count }

    /// The extents that a request touches. Spec: drbd-disk-and-state 5.3 step 1.
    package static func extents(sector: UInt64, byteCount: Int) -> ClosedRange<UInt32> {
        precondition(byteCount > 0, "a request of \(byteCount) bytes touches no extent")
        let last = sector + UInt64(byteCount + 511) / 512 - 1
        return UInt32(sector >> extentShift)...UInt32(last >> extentShift)
    }

    /// Extents that are in slots, ascending.
    package var extents: [UInt32] { slots.filter { $0 != Self.free }.sorted() }

    /// Slots with references.
    package var usedExtentCount: Int { slots.count - freeSlots - unused.count }

    /// Whether a request holds a reference to the extent.
    package func isInUse(_ extent: UInt32) -> Bool {
        guard let slot = slotOfExtent[extent] else { return false }
        return references[slot] > 0
    }
}

// MARK: Requests

extension ActivityLog {
    /// Takes a reference to each extent, or nothing.
    ///
    /// Who must wait keeps its place: as long as somebody waits for slots, later requests that would need new slots
    /// too should be asked only after him.
    package mutating func begin(_ extents: ClosedRange<UInt32>, resync: inout ResyncExtents) -> Admission {
        precondition(
            extents.count <= ActivityLogTransaction.updateCountMax, "a request over \(extents.count) extents")
        if resync.blocks(extents) { return .mustWait(.resync) }
        if isSuspended { return .notLogged }
        // Nearly every write: one extent, and it is there.
        if extents.lowerBound == extents.upperBound, let slot = slotOfExtent[extents.lowerBound] {
            hold(slot)
            return admission(after: sequences[slot])
        }
        let missing = holdPresent(extents)
        if missing > 0 {
            if let reason = reasonToWait(forSlots: missing) {
                releasePresent(extents)
                return .mustWait(reason)
            }
            for extent in extents where slotOfExtent[extent] == nil { reserveSlot(for: extent) }
        }
        var sequence: UInt64 = 0
        for extent in extents { sequence = max(sequence, sequences[slot(of: extent)]) }
        return admission(after: sequence)
    }

    private func admission(after sequence: UInt64) -> Admission {
        sequence <= committedSequence ? .ready : .needsTransaction(sequence)
    }

    /// Drops the references of a request. Returns whether a slot became unused, so that somebody who waits may try.
    @discardableResult
    package mutating func end(_ extents: ClosedRange<UInt32>) -> Bool {
        var freed = false
        for extent in extents {
            if dropReference(slot(of: extent)) { freed = true }
        }
        return freed
    }

    private func slot(of extent: UInt32) -> Int {
        guard let slot = slotOfExtent[extent] else { preconditionFailure("extent \(extent) is in no slot") }
        return slot
    }

    /// Takes references to the extents that are in slots; returns how many are not.
    private mutating func holdPresent(_ extents: ClosedRange<UInt32>) -> Int {
        var missing = 0
        for extent in extents {
            guard let slot = slotOfExtent[extent] else {
                missing += 1
                continue
            }
            hold(slot)
        }
        return missing
    }

    private mutating func hold(_ slot: Int) {
        if references[slot] == 0 { unused.remove(slot) }
        references[slot] += 1
    }

    private mutating func releasePresent(_ extents: ClosedRange<UInt32>) {
        for extent in extents {
            if let slot = slotOfExtent[extent] { _ = dropReference(slot) }
        }
    }

    private mutating func dropReference(_ slot: Int) -> Bool {
        precondition(references[slot] > 0, "slot \(slot) has no reference to drop")
        references[slot] -= 1
        guard references[slot] == 0 else { return false }
        unused.append(slot)
        return true
    }

    private var logsTransactions: Bool { writesTransactions && !faults.contains(.skipActivityLogWrite) }

    private func reasonToWait(forSlots count: Int) -> WaitReason? {
        if logsTransactions && pendingSlots.count + count > ActivityLogTransaction.updateCountMax {
            return .transactionFull
        }
        if freeSlots >= count { return nil }
        var victims = count - freeSlots
        let isEnough = unused.leastRecentlyUsed { slot in
            if isEvictable(slot) { victims -= 1 }
            return victims == 0
        }
        return isEnough == nil ? .slotsInUse : nil
    }

    /// An extent that is not durable in the log yet is not thrown out again.
    private func isEvictable(_ slot: Int) -> Bool { sequences[slot] <= committedSequence }

    private mutating func reserveSlot(for extent: UInt32) {
        let slot: Int
        if freeSlots > 0 {
            freeSlots -= 1
            slot = freeSlots
        } else {
            guard let victim = unused.leastRecentlyUsed(where: isEvictable) else {
                preconditionFailure("no slot for extent \(extent)")
            }
            unused.remove(victim)
            slotOfExtent[slots[victim]] = nil
            if logsTransactions { pendingEvictions.append(slots[victim]) }
            slot = victim
        }
        slots[slot] = extent
        slotOfExtent[extent] = slot
        references[slot] = 1
        if logsTransactions {
            sequences[slot] = preparedSequence + 1
            pendingSlots.append(slot)
        } else {
            sequences[slot] = committedSequence
            loggedSlots[slot] = extent
        }
    }
}

// MARK: Transactions

extension ActivityLog {
    package var hasPendingChanges: Bool { !pendingSlots.isEmpty }
    package var isTransactionUnderWay: Bool { preparedSequence > committedSequence }

    /// Makes the next transaction of all that waits; nil while one is under way or nothing waits.
    ///
    /// - Parameter evenIfEmpty: also without changes, as when the whole ring is written anew: as many transactions
    ///   as the ring has blocks then describe every slot.
    package mutating func prepareTransaction(evenIfEmpty: Bool = false) -> Prepared? {
        guard !isTransactionUnderWay, evenIfEmpty || hasPendingChanges else { return nil }
        let contextEnd = min(contextStart + ActivityLogTransaction.contextCount, slotCount)
        let transaction = ActivityLogTransaction(
            number: transactionNumber, slotCount: UInt16(slotCount), contextStart: UInt16(contextStart),
            updates: pendingSlots.map { .init(slot: UInt16($0), extent: slots[$0]) },
            context: Array(loggedSlots[contextStart..<contextEnd]))
        for slot in pendingSlots { loggedSlots[slot] = slots[slot] }
        let evicted = faults.contains(.skipBitmapWriteBeforeEviction) ? [] : pendingEvictions
        pendingSlots.removeAll(keepingCapacity: true)
        pendingEvictions.removeAll(keepingCapacity: true)
        transactionNumber &+= 1
        contextStart = contextEnd == slotCount ? 0 : contextEnd
        preparedSequence += 1
        return Prepared(sequence: preparedSequence, transaction: transaction, evictedExtents: evicted)
    }

    /// The transaction under way is durable.
    package mutating func commitTransaction() {
        precondition(isTransactionUnderWay, "no transaction is under way")
        committedSequence = preparedSequence
    }
}

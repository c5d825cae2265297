internal import EngineKit
package import Replication

/// A disk in memory that behaves as badly as disks may: it answers in any order, keeps completed writes in a volatile
/// cache, and at a crash loses, reorders and tears what was not flushed.
///
/// Data moves when an operation *completes*: a buffer that its owner reuses too early, or two writes to one place that
/// are under way together, show as wrong data.
package final class SimulatedDisk {
    /// What a disk is like for its whole life.
    package struct Character: Sendable {
        /// Completed writes may be lost at a power failure until a flush.
        package var hasVolatileCache = true
        /// Usual time for an operation in nanoseconds.
        package var latency = 60_000
        /// One operation of so many takes twenty times as long.
        package var slowOneIn = 50

        package init() {}
    }

    /// Handle of an operation under way.
    package typealias Ticket = Int

    struct Operation {
        var kind: DiskOperation.Kind
        var offset: Int
        var byteCount: Int
        var data: IOSlice?
        /// Writes with a number below this one are durable once the operation is complete; -1: none.
        var makesDurable: Int
    }

    /// How to undo one completed write that is still in the volatile cache.
    struct CachedWrite {
        var offset: Int
        var byteCount: Int
        /// What the sectors held before; nil: zeroes.
        var before: [UInt8]?
        /// Sectors that were made durable since; nil: none.
        var isDurable: [Bool]?
    }

    package let byteCount: Int
    package let character: Character
    package var faults = DiskFaults()
    /// Operations that ended with an error so far.
    package private(set) var errorCount = 0
    /// Failed flushes that took completed writes along.
    package private(set) var cacheLossCount = 0

    let store: PageStore
    var cachedWrites: [CachedWrite] = []
    /// Number of the first entry of `cachedWrites`, counted from the beginning of the world.
    var firstCachedWrite = 0
    var underWay: [Operation?] = []
    private var freeTickets: [Ticket] = []
    var random: SimulationRandom

    /// More than this stays in no cache: the oldest become durable by themselves.
    private static let cachedWritesMax = 4096

    package init(byteCount: Int, character: Character, random: SimulationRandom) {
        precondition(byteCount % 512 == 0, "a disk has whole sectors")
        self.byteCount = byteCount
        self.character = character
        self.random = random
        store = PageStore(byteCount: byteCount)
    }

    /// Takes an operation; it ends when ``complete(_:)`` is called, `latency` nanoseconds from now.
    package func submit(_ operation: DiskOperation) -> (ticket: Ticket, latency: Int) {
        precondition(
            operation.byteCount % 512 == 0 && operation.offset % 512 == 0
                && Int(operation.offset) + operation.byteCount <= byteCount,
            "\(operation.kind) of \(operation.offset)+\(operation.byteCount) on a disk of \(byteCount) bytes")
        if let data = operation.data {
            precondition(data.count == operation.byteCount, "buffer of \(data.count) for \(operation.byteCount) bytes")
        }
        var makesDurable = -1
        switch operation.kind {
        case .flush, .write(flushBefore: true, forceUnitAccess: _): makesDurable = firstCachedWrite + cachedWrites.count
        default: break
        }
        let entry = Operation(
            kind: operation.kind, offset: Int(operation.offset), byteCount: operation.byteCount,
            data: operation.data, makesDurable: makesDurable)
        let ticket: Ticket
        if let free = freeTickets.popLast() {
            ticket = free
            underWay[free] = entry
        } else {
            ticket = underWay.count
            underWay.append(entry)
        }
        return (ticket, drawLatency(of: operation.kind))
    }

    /// Ends an operation: moves its data. Returns 0 or an errno.
    package func complete(_ ticket: Ticket) -> Int32 {
        guard let operation = underWay[ticket] else { preconditionFailure("no operation \(ticket)") }
        underWay[ticket] = nil
        freeTickets.append(ticket)
        let error = errorOf(operation)
        if error == 0 {
            carryOut(operation)
        } else {
            errorCount += 1
            damage(by: operation)
        }
        return error
    }

    /// Puts bytes on the disk before the world begins: durable, without an operation.
    package func preset(offset: Int, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return }
            store.write(offset: offset, count: source.count, from: base)
        }
    }

    /// Present contents, as a read would give them.
    package func contents(offset: Int, count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            if let base = buffer.baseAddress { store.read(offset: offset, count: count, into: base) }
            initialized = count
        }
    }

    /// No operation is under way.
    package var isIdle: Bool { freeTickets.count == underWay.count }

    /// What a flush does, at once.
    package func makeEverythingDurable() {
        makeDurable(below: firstCachedWrite + cachedWrites.count)
    }

    private func drawLatency(of kind: DiskOperation.Kind) -> Int {
        var usual = character.latency
        switch kind {
        case .flush: usual *= 4
        case .write(let flushBefore, let forceUnitAccess): usual *= flushBefore || forceUnitAccess ? 3 : 1
        case .read, .discard, .writeZeroes: break
        }
        var latency = usual / 2 + random.below(usual)
        if random.below(character.slowOneIn) == 0 { latency *= 20 }
        return latency * faults.slowness
    }

    private func errorOf(_ operation: Operation) -> Int32 {
        guard faults.mayFail else { return 0 }
        let range = operation.offset..<operation.offset + operation.byteCount
        if case .read = operation.kind {
            guard let bad = faults.unreadable, bad.overlaps(range) else { return 0 }
            return 5
        }
        if let bad = faults.unwritable, case .flush = operation.kind { return bad.isEmpty ? 0 : 5 }
        if let bad = faults.unwritable, bad.overlaps(range) { return 5 }
        if faults.isFull, case .write = operation.kind, needsSpace(range) { return 28 }
        return 0
    }

    private func needsSpace(_ range: Range<Int>) -> Bool {
        let pages = range.lowerBound / PageStore.pageSize...(range.upperBound - 1) / PageStore.pageSize
        return pages.contains { store.page($0) == nil }
    }

    private func carryOut(_ operation: Operation) {
        if operation.makesDurable >= 0 { makeDurable(below: operation.makesDurable) }
        switch operation.kind {
        case .flush: break
        case .read:
            if let data = operation.data {
                store.read(offset: operation.offset, count: operation.byteCount, into: data.base)
            }
        case .write(_, let forceUnitAccess):
            change(operation, isDurable: forceUnitAccess)
        case .discard, .writeZeroes:
            change(operation, isDurable: false)
        }
    }

    /// Applies the write of an operation and remembers how to undo it.
    private func change(_ operation: Operation, isDurable: Bool) {
        if character.hasVolatileCache {
            if isDurable {
                markDurable(offset: operation.offset, count: operation.byteCount)
            } else {
                remember(offset: operation.offset, count: operation.byteCount)
            }
        }
        apply(operation)
    }

    func apply(_ operation: Operation) {
        if case .write = operation.kind, let data = operation.data {
            store.write(offset: operation.offset, count: operation.byteCount, from: data.base)
        } else {
            store.zero(offset: operation.offset, count: operation.byteCount)
        }
    }

    /// A failed write may have reached any of its sectors; a failed flush loses what it did not reach.
    private func damage(by operation: Operation) {
        if case .flush = operation.kind, character.hasVolatileCache {
            cacheLossCount += 1
            loseCache()
        }
        guard case .write = operation.kind, let data = operation.data else { return }
        if operation.makesDurable >= 0 {
            // Nothing of it goes before the flush that it asks for.
            guard random.chance(1, in: 2) else { return }
            makeDurable(below: operation.makesDurable)
        }
        for sector in 0..<operation.byteCount / 512 where random.chance(1, in: 3) {
            if character.hasVolatileCache { remember(offset: operation.offset + sector * 512, count: 512) }
            store.write(offset: operation.offset + sector * 512, count: 512, from: data.base + sector * 512)
        }
    }

    func remember(offset: Int, count: Int) {
        cachedWrites.append(undo(offset: offset, count: count))
        if cachedWrites.count > Self.cachedWritesMax {
            makeDurable(below: firstCachedWrite + Self.cachedWritesMax / 2)
        }
    }

    func undo(offset: Int, count: Int) -> CachedWrite {
        let before = store.isUntouched(offset: offset, count: count) ? nil : contents(offset: offset, count: count)
        return CachedWrite(offset: offset, byteCount: count, before: before)
    }

    func makeDurable(below number: Int) {
        let count = min(max(0, number - firstCachedWrite), cachedWrites.count)
        guard count > 0 else { return }
        cachedWrites.removeFirst(count)
        firstCachedWrite += count
    }

    /// Nothing older can come back where bytes were written with forced unit access.
    private func markDurable(offset: Int, count: Int) {
        for index in cachedWrites.indices {
            let start = max(offset, cachedWrites[index].offset)
            let end = min(offset + count, cachedWrites[index].offset + cachedWrites[index].byteCount)
            guard start < end else { continue }
            let sectors = cachedWrites[index].byteCount / 512
            var durable = cachedWrites[index].isDurable ?? Array(repeating: false, count: sectors)
            for sector in (start - cachedWrites[index].offset) / 512..<(end - cachedWrites[index].offset) / 512 {
                durable[sector] = true
            }
            cachedWrites[index].isDurable = durable
        }
    }

    func forgetOperationsUnderWay() {
        underWay.removeAll(keepingCapacity: true)
        freeTickets.removeAll(keepingCapacity: true)
    }
}

package import EngineKit

/// The metadata blocks of a volume in memory: least recently used clean ones go first, those of unfinished transactions
/// and pinned ones stay.
///
/// Invariants:
/// - A number has at most one object, as long as anybody refers to it: only blocks that nobody else has are dropped.
/// - The list of the free (droppable) blocks holds exactly those in the table that have no pin and no unwritten image.
package final class BlockCache {
    package let device: any BlockDevice
    package let blockSize: Int
    package let byteCountMax: Int

    /// Counts the times at which other hosts may have changed blocks: one with a lower ``MetadataBlock/age`` than the clock
    /// had then may be old.
    package private(set) var clock: UInt64 = 0

    let memory: BlockMemory
    /// For transfers of several blocks.
    let buffers = IOBufferPool()

    private struct Slot {
        var block: MetadataBlock?
        /// Neighbours in the list of free blocks; -1: none.
        var newer = -1
        var older = -1
    }

    private var slots: [Slot] = []
    private var unusedSlots: [Int] = []
    private var slotOfNumber: [UInt64: Int] = [:]
    private var newest = -1
    private var oldest = -1
    private var freeBlockCount = 0
    private var reads: [UInt64: BlockRead] = [:]

    /// Blocks that are passed over for one that is dropped: somebody refers to them.
    private static let passedOverMax = 8
    /// Bytes of one device read.
    static let readByteCountMax = 256 << 10

    /// - Parameter byteCountMax: how much clean metadata is kept, in bytes.
    package init(device: any BlockDevice, blockSize: Int, byteCountMax: Int) {
        self.device = device
        self.blockSize = blockSize
        self.byteCountMax = byteCountMax
        memory = BlockMemory(blockSize: blockSize)
    }

    /// Other hosts may have changed blocks up to now. Answers the age of those that are read from now on.
    package func advanceClock() -> UInt64 {
        clock += 1
        return clock
    }

    /// Blocks in memory.
    package var blockCount: Int { slotOfNumber.count }

    /// The block, from memory or disk. Readers of one block that come together cause one read.
    package func read(_ number: UInt64) async throws(BlockDeviceError) -> MetadataBlock {
        while true {
            if let block = cached(number) { return block }
            if let read = reads[number] {
                try await read.end()
                // The block came; it may have gone again.
                continue
            }
            let read = BlockRead()
            reads[number] = read
            let block = MetadataBlock(number: number, cache: self)
            block.age = clock
            do throws(BlockDeviceError) {
                try await device.read(block.slice, at: byteOffset(of: number))
            } catch {
                ended(read, number, error)
                throw error
            }
            ended(read, number, nil)
            // Made by ``fresh(_:)`` meanwhile: that one is newer than the disk.
            if let other = cached(number) { return other }
            // A reread or a write to the place overtook the read.
            if read.isStale { continue }
            insert(block)
            return block
        }
    }

    /// As ``read(_:)`` for several blocks, with the missing ones read at once.
    package func read(_ numbers: [UInt64]) async throws(BlockDeviceError) -> [MetadataBlock] {
        var missing = numbers.filter { slotOfNumber[$0] == nil && reads[$0] == nil }
        missing.sort()
        // Keep what was read in memory until all of it is there.
        var loaded: [MetadataBlock] = []
        if missing.count > 1 { loaded = try await load(missing) }
        var blocks: [MetadataBlock] = []
        blocks.reserveCapacity(numbers.count)
        for number in numbers { blocks.append(try await read(number)) }
        withExtendedLifetime(loaded) {}
        return blocks
    }

    /// The block if it is in memory.
    package func cached(_ number: UInt64) -> MetadataBlock? {
        guard let slot = slotOfNumber[number], let block = slots[slot].block else { return nil }
        if block.holds == 0, newest != slot {
            unlink(slot)
            linkAsNewest(slot)
        }
        return block
    }

    /// The block with all bytes zero and without reading it: for one that was just allocated.
    package func fresh(_ number: UInt64) -> MetadataBlock {
        let block: MetadataBlock
        if let known = cached(number) {
            block = known
        } else {
            block = MetadataBlock(number: number, cache: self)
            insert(block)
        }
        block.bytes.initializeMemory(as: UInt8.self, repeating: 0)
        block.kind = 0
        block.age = clock
        return block
    }

    /// Forgets blocks, so that the next reader goes to disk. Blocks of unfinished transactions are a bug of the caller.
    package func forget(_ number: UInt64) {
        reads[number]?.isStale = true
        guard let slot = slotOfNumber[number], let block = slots[slot].block else { return }
        precondition(block.unwrittenImages == 0, "block \(number) is forgotten with changes that are not in its place")
        remove(slot)
    }

    /// Reads the block from disk whatever is in memory. The caller knows that it has no unwritten change.
    package func reread(_ number: UInt64) async throws(BlockDeviceError) -> MetadataBlock {
        reads[number]?.isStale = true
        guard let block = cached(number) else { return try await read(number) }
        precondition(block.unwrittenImages == 0, "block \(number) is reread but has changes that are not in its place")
        let age = clock
        // By way of another buffer: nobody shall see half of it.
        let buffer = buffers.take(byteCount: blockSize)
        let slice = IOSlice(buffer: buffer, offset: 0, count: blockSize)
        try await device.read(slice, at: byteOffset(of: number))
        block.bytes.copyMemory(from: UnsafeRawBufferPointer(slice.bytes))
        block.kind = 0
        block.age = age
        return block
    }

    /// The block, from memory if its contents are not older than `age` of the ``clock``. One that this host has changed
    /// and not brought to its place is never old.
    package func read(_ number: UInt64, notOlderThan age: UInt64) async throws(BlockDeviceError) -> MetadataBlock {
        while true {
            let block = try await read(number)
            if block.age >= age || block.unwrittenImages > 0 { return block }
            // Readers of one old block that come together: the first one reads, the others find it new.
            if let read = reads[number] {
                try await read.end()
                continue
            }
            let read = BlockRead()
            reads[number] = read
            defer { ended(read, number, nil) }
            return try await reread(number)
        }
    }

    /// Writes one block to its place at once, outside of any transaction, durably. Spec: ocfs2-disk 14.4 rule 10.
    package func writeThrough(_ block: MetadataBlock) async throws(BlockDeviceError) {
        precondition(block.unwrittenImages == 0, "block \(block.number) is written past its transaction")
        let buffer = buffers.take(byteCount: blockSize)
        let slice = IOSlice(buffer: buffer, offset: 0, count: blockSize)
        slice.bytes.copyMemory(from: UnsafeRawBufferPointer(block.bytes))
        try await device.write(slice, at: byteOffset(of: block.number), forceUnitAccess: true)
    }

    /// The place of a block beyond the end of any device reads as one past the end: the device refuses it.
    func byteOffset(of number: UInt64) -> UInt64 {
        let (offset, overflow) = number.multipliedReportingOverflow(by: UInt64(blockSize))
        return overflow ? UInt64.max - UInt64(blockSize) + 1 : offset
    }
}

/// A device read that several tasks wait for.
private final class BlockRead {
    private let signal = AsyncSignal()
    private var isOver = false
    private var error: BlockDeviceError?
    /// What it brings may be older than what is on disk now.
    var isStale = false

    func end() async throws(BlockDeviceError) {
        while !isOver { await signal.wait() }
        if let error { throw error }
    }

    func finish(_ error: BlockDeviceError?) {
        self.error = error
        isOver = true
        signal.notify()
    }
}

// MARK: Bulk reads

extension BlockCache {
    /// Reads blocks (ascending, none of them in memory), neighbours with one transfer.
    private func load(_ numbers: [UInt64]) async throws(BlockDeviceError) -> [MetadataBlock] {
        var runs: [(first: UInt64, count: Int)] = []
        let countMax = max(1, UInt64(Self.readByteCountMax / blockSize))
        for number in numbers {
            if let last = runs.last, number >= last.first, number - last.first <= UInt64(last.count),
                number - last.first < countMax
            {
                if number - last.first == UInt64(last.count) { runs[runs.count - 1].count += 1 }
            } else {
                runs.append((number, 1))
            }
        }
        var slices: [IOSlice] = []
        var transfers: [BlockTransfer] = []
        for run in runs {
            let byteCount = run.count * blockSize
            let slice = IOSlice(buffer: buffers.take(byteCount: byteCount), offset: 0, count: byteCount)
            slices.append(slice)
            transfers.append(
                BlockTransfer(.read, at: byteOffset(of: run.first), byteCount: byteCount, data: slice))
        }
        let read = BlockRead()
        let age = clock
        for run in runs {
            for index in 0..<run.count { reads[run.first + UInt64(index)] = read }
        }
        var failure: BlockDeviceError?
        do throws(BlockDeviceError) {
            try await device.perform(transfers)
        } catch {
            failure = error
        }
        var loaded: [MetadataBlock] = []
        for (run, slice) in zip(runs, slices) {
            for index in 0..<run.count {
                let number = run.first + UInt64(index)
                reads[number] = nil
                guard failure == nil, !read.isStale, cached(number) == nil else { continue }
                let block = MetadataBlock(number: number, cache: self)
                block.age = age
                let source = slice.part(offset: index * blockSize, count: blockSize)
                block.bytes.copyMemory(from: UnsafeRawBufferPointer(source.bytes))
                insert(block)
                loaded.append(block)
            }
        }
        read.finish(failure)
        if let failure { throw failure }
        return loaded
    }

    private func ended(_ read: BlockRead, _ number: UInt64, _ error: BlockDeviceError?) {
        if reads[number] === read { reads[number] = nil }
        read.finish(error)
    }
}

// MARK: Table and list

extension BlockCache {
    private func insert(_ block: MetadataBlock) {
        precondition(slotOfNumber[block.number] == nil, "block \(block.number) is in memory twice")
        let slot: Int
        if let unused = unusedSlots.popLast() {
            slot = unused
        } else {
            slot = slots.count
            slots.append(Slot())
        }
        slots[slot].block = block
        block.slot = slot
        slotOfNumber[block.number] = slot
        if block.holds == 0 { linkAsNewest(slot) }
        if freeBlockCount * blockSize > byteCountMax { shrink(keeping: slot) }
    }

    private func remove(_ slot: Int) {
        guard let block = slots[slot].block else { return }
        if block.holds == 0 { unlink(slot) }
        block.slot = -1
        slotOfNumber[block.number] = nil
        slots[slot] = Slot()
        unusedSlots.append(slot)
    }

    /// Drops the least recently used blocks that nobody else refers to, until the limit is kept.
    private func shrink(keeping kept: Int) {
        var passedOver = 0
        while freeBlockCount * blockSize > byteCountMax, oldest >= 0, passedOver < Self.passedOverMax {
            let slot = oldest
            if slot != kept, isKnownUniquelyReferenced(&slots[slot].block) {
                remove(slot)
            } else {
                unlink(slot)
                linkAsNewest(slot)
                passedOver += 1
            }
        }
    }

    /// Drops what is beyond the limit, after many blocks became free.
    func trim() {
        shrink(keeping: -1)
    }

    func becameHeld(_ block: MetadataBlock) {
        unlink(block.slot)
    }

    func becameFree(_ block: MetadataBlock) {
        linkAsNewest(block.slot)
        shrink(keeping: block.slot)
    }

    private func linkAsNewest(_ slot: Int) {
        slots[slot].older = newest
        slots[slot].newer = -1
        if newest >= 0 { slots[newest].newer = slot } else { oldest = slot }
        newest = slot
        freeBlockCount += 1
    }

    private func unlink(_ slot: Int) {
        let (newer, older) = (slots[slot].newer, slots[slot].older)
        if newer >= 0 { slots[newer].older = older } else { newest = older }
        if older >= 0 { slots[older].newer = newer } else { oldest = newer }
        slots[slot].newer = -1
        slots[slot].older = -1
        freeBlockCount -= 1
    }
}

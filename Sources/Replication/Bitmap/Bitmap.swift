/// Which blocks of 4 KiB this node must consider different from the peer's: the bitmap of one volume in core.
///
/// Bit b covers the sectors 8b to 8b + 7. The memory is laid out as on disk and on the wire, as little-endian 64-bit
/// words, so that blocks and packets are plain copies.
///
/// **Invariants.**
/// - Bits beyond the last one are clear.
/// - ``setBitCount`` and the counts for each 16 MiB agree with the bits.
/// - A disk block that differs from what was last written or read is *changed*, unless it is *being written* with
///   just these bits.
///
/// Spec: drbd-disk-and-state 6. Confined to the thread of its engine.
package final class Bitmap {
    /// Sectors of the device.
    package private(set) var sectorCount: UInt64
    package private(set) var bitCount: Int
    package private(set) var setBitCount = 0
    /// An extent of 16 MiB lost its last bit since this was last reset: time to write changed blocks lazily.
    package var hasCleanedExtent = false

    /// `blockCount` times 512 words.
    private var words: UnsafeMutablePointer<UInt64>
    /// Set bits for each 16 MiB.
    private var extentCounts: [UInt16]
    private var blockStates: [BlockState]

    struct BlockState: OptionSet {
        let rawValue: UInt8

        static let changed = BlockState(rawValue: 1)
        static let beingWritten = BlockState(rawValue: 2)
        /// Bits were cleared since the block was last copied out to be written.
        static let cleared = BlockState(rawValue: 4)
    }

    package static let sectorsPerBit: UInt64 = 8
    package static let blockByteCount = 4096
    private static let bitsPerWord = 64
    static let bitsPerExtent = 4096
    static let bitsPerBlock = 32768
    private static let wordsPerExtent = 64
    private static let wordsPerBlock = 512
    private static let activityLogExtentsPerBlock: UInt32 = 32

    /// A bitmap without set bits.
    package init(sectors: UInt64) {
        sectorCount = sectors
        bitCount = Self.bits(ofSectors: sectors)
        let blockCount = Self.blocks(ofBits: bitCount)
        words = Self.allocate(blockCount)
        extentCounts = Array(repeating: 0, count: blockCount * 8)
        blockStates = Array(repeating: [], count: blockCount)
    }

    deinit {
        words.deallocate()
    }

    private static func allocate(_ blockCount: Int) -> UnsafeMutablePointer<UInt64> {
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: blockCount * wordsPerBlock)
        words.initialize(repeating: 0, count: blockCount * wordsPerBlock)
        return words
    }

    private static func bits(ofSectors sectors: UInt64) -> Int {
        Int(sectors / sectorsPerBit + (sectors % sectorsPerBit == 0 ? 0 : 1))
    }

    private static func blocks(ofBits bits: Int) -> Int { (bits + bitsPerBlock - 1) / bitsPerBlock }

    /// 64-bit words that travel.
    package var wordCount: Int { (bitCount + Self.bitsPerWord - 1) / Self.bitsPerWord }
    /// Blocks of 4 KiB on disk.
    package var blockCount: Int { blockStates.count }
}

// MARK: Sectors

extension Bitmap {
    /// Marks a range out of sync, widened to whole 4 KiB. Returns how many bits were not set before.
    @discardableResult
    package func setOutOfSync(sector: UInt64, byteCount: Int) -> Int {
        setBits(touchedBits(sector: sector, byteCount: byteCount))
    }

    /// Marks a range in sync, narrowed to whole 4 KiB. The last block of the device counts as whole. Returns how many
    /// bits were set before.
    @discardableResult
    package func setInSync(sector: UInt64, byteCount: Int) -> Int {
        clearBits(coveredBits(sector: sector, byteCount: byteCount))
    }

    package func isAnySet(sector: UInt64, byteCount: Int) -> Bool {
        let bits = touchedBits(sector: sector, byteCount: byteCount)
        guard let first = nextSetBit(from: bits.lowerBound) else { return false }
        return first < bits.upperBound
    }

    /// The bits of blocks that a range touches.
    package func touchedBits(sector: UInt64, byteCount: Int) -> Range<Int> {
        let end = min(Self.end(sector, byteCount), sectorCount)
        guard sector < end else { return 0..<0 }
        return Int(sector / Self.sectorsPerBit)..<Self.bits(ofSectors: end)
    }

    /// The bits of blocks that a range covers completely.
    package func coveredBits(sector: UInt64, byteCount: Int) -> Range<Int> {
        let end = Self.end(sector, byteCount)
        let firstBit = Self.bits(ofSectors: sector)
        let endBit = end >= sectorCount ? bitCount : Int(end / Self.sectorsPerBit)
        return firstBit < endBit ? firstBit..<endBit : 0..<0
    }

    /// The sector after a range; the last number if the range runs over.
    private static func end(_ sector: UInt64, _ byteCount: Int) -> UInt64 {
        precondition(byteCount >= 0, "a range of \(byteCount) bytes")
        let (end, overflow) = sector.addingReportingOverflow(UInt64((byteCount + 511) / 512))
        return overflow ? .max : end
    }
}

// MARK: Bits

extension Bitmap {
    package func isSet(_ bit: Int) -> Bool {
        precondition(bit >= 0 && bit < bitCount, "bit \(bit) of \(bitCount)")
        return words[bit / Self.bitsPerWord].littleEndian >> (bit % Self.bitsPerWord) & 1 != 0
    }

    /// Sets the bits, as far as there are. Returns how many were clear.
    @discardableResult
    package func setBits(_ bits: Range<Int>) -> Int {
        var changed = 0
        forEachWord(in: bits) { word, mask in
            let old = words[word].littleEndian
            let added = (mask & ~old).nonzeroBitCount
            guard added > 0 else { return }
            words[word] = (old | mask).littleEndian
            extentCounts[word / Self.wordsPerExtent] += UInt16(added)
            blockStates[word / Self.wordsPerBlock].insert(.changed)
            changed += added
        }
        setBitCount += changed
        return changed
    }

    /// Clears the bits, as far as there are. Returns how many were set.
    @discardableResult
    package func clearBits(_ bits: Range<Int>) -> Int {
        var changed = 0
        forEachWord(in: bits) { word, mask in
            let old = words[word].littleEndian
            let removed = (mask & old).nonzeroBitCount
            guard removed > 0 else { return }
            words[word] = (old & ~mask).littleEndian
            extentCounts[word / Self.wordsPerExtent] -= UInt16(removed)
            if extentCounts[word / Self.wordsPerExtent] == 0 { hasCleanedExtent = true }
            blockStates[word / Self.wordsPerBlock].formUnion([.changed, .cleared])
            changed += removed
        }
        setBitCount -= changed
        return changed
    }

    package func setAll() { setBits(0..<bitCount) }
    package func clearAll() { clearBits(0..<bitCount) }

    /// Calls `body` with each word that `bits` touches and the mask of its bits.
    @inline(__always)
    private func forEachWord(in bits: Range<Int>, _ body: (Int, UInt64) -> Void) {
        var bit = max(bits.lowerBound, 0)
        let end = min(bits.upperBound, bitCount)
        while bit < end {
            let word = bit / Self.bitsPerWord
            let wordEnd = min(end, (word + 1) * Self.bitsPerWord)
            let mask = (UInt64.max >> (Self.bitsPerWord - (wordEnd - bit))) << (bit % Self.bitsPerWord)
            body(word, mask)
            bit = wordEnd
        }
    }

    /// The first set bit from `bit` on.
    package func nextSetBit(from bit: Int) -> Int? {
        next(from: bit, skippingExtentsWith: 0) { $0 }
    }

    /// The first clear bit from `bit` on.
    package func nextClearBit(from bit: Int) -> Int? {
        next(from: bit, skippingExtentsWith: UInt16(Self.bitsPerExtent)) { ~$0 }
    }

    /// The first bit that is set in the image of the words; extents with this many set bits have none.
    @inline(__always)
    private func next(
        from start: Int, skippingExtentsWith count: UInt16, _ image: (UInt64) -> UInt64
    ) -> Int? {
        var bit = max(start, 0)
        while bit < bitCount {
            let word = bit / Self.bitsPerWord
            if extentCounts[word / Self.wordsPerExtent] == count {
                bit = (word / Self.wordsPerExtent + 1) * Self.bitsPerExtent
                continue
            }
            let shift = bit % Self.bitsPerWord
            let rest = image(words[word].littleEndian) >> shift
            if rest != 0 {
                let found = bit + rest.trailingZeroBitCount
                return found < bitCount ? found : nil
            }
            bit += Self.bitsPerWord - shift
        }
        return nil
    }

    /// Set bits in a resync extent of 16 MiB.
    package func setBitCount(ofResyncExtent extent: UInt32) -> Int {
        Int(extent) < extentCounts.count ? Int(extentCounts[Int(extent)]) : 0
    }
}

// MARK: Words of the wire

extension Bitmap {
    /// Sets the bits that are set in `bytes`: whole little-endian 64-bit words from the word at `position` on.
    package func merge(words bytes: UnsafeRawBufferPointer, atWord position: Int) {
        precondition(
            bytes.count % 8 == 0 && position >= 0 && bytes.count / 8 <= wordCount - position,
            "\(bytes.count) bytes at word \(position) of \(wordCount)")
        for index in 0..<bytes.count / 8 {
            let added = bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self).littleEndian
            if added != 0 { merge(added, atWord: position + index) }
        }
    }

    private func merge(_ bits: UInt64, atWord word: Int) {
        let old = words[word].littleEndian
        let added = bits & ~old & validBits(ofWord: word)
        guard added != 0 else { return }
        words[word] = (old | added).littleEndian
        extentCounts[word / Self.wordsPerExtent] += UInt16(added.nonzeroBitCount)
        blockStates[word / Self.wordsPerBlock].insert(.changed)
        setBitCount += added.nonzeroBitCount
    }

    /// The bits of a word that belong to the device.
    private func validBits(ofWord word: Int) -> UInt64 {
        let rest = bitCount - word * Self.bitsPerWord
        return rest >= Self.bitsPerWord ? .max : rest <= 0 ? 0 : (1 << UInt64(rest)) - 1
    }

    /// Copies words as they travel.
    package func copyWords(_ range: Range<Int>, into bytes: UnsafeMutableRawBufferPointer) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= wordCount && bytes.count >= range.count * 8,
            "words \(range) of \(wordCount) into \(bytes.count) bytes")
        bytes.copyMemory(from: UnsafeRawBufferPointer(start: words + range.lowerBound, count: range.count * 8))
    }
}

// MARK: Blocks of the disk

extension Bitmap {
    /// The disk block with the bits of an activity-log extent; it is always one.
    package static func block(ofActivityLogExtent extent: UInt32) -> Int { Int(extent / activityLogExtentsPerBlock) }

    /// Takes a block as it was read from disk, in place of what was there. Bits beyond the device are ignored.
    package func load(block: Int, from bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == Self.blockByteCount, "a bitmap block of \(bytes.count) bytes")
        let first = block * Self.wordsPerBlock
        for index in 0..<Self.wordsPerBlock {
            let word = bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self).littleEndian
            words[first + index] = (word & validBits(ofWord: first + index)).littleEndian
        }
        for extent in block * 8..<(block + 1) * 8 { recount(extent) }
        blockStates[block].subtract([.changed, .cleared])
    }

    private func recount(_ extent: Int) {
        var count = 0
        for word in extent * Self.wordsPerExtent..<(extent + 1) * Self.wordsPerExtent {
            count += words[word].nonzeroBitCount
        }
        setBitCount += count - Int(extentCounts[extent])
        extentCounts[extent] = UInt16(count)
    }

    /// Copies a block out to be written. It counts as being written until ``finishWrite(block:succeeded:)``; only one
    /// write of a block is under way at a time, so that an older image never lands on a newer one.
    package func beginWrite(block: Int, into bytes: UnsafeMutableRawBufferPointer) {
        precondition(!blockStates[block].contains(.beingWritten), "bitmap block \(block) is being written")
        precondition(bytes.count >= Self.blockByteCount, "room of \(bytes.count) bytes for a bitmap block")
        bytes.copyMemory(
            from: UnsafeRawBufferPointer(start: words + block * Self.wordsPerBlock, count: Self.blockByteCount))
        blockStates[block] = .beingWritten
    }

    /// The write of a block ended. After a failure it is changed again.
    package func finishWrite(block: Int, succeeded: Bool) {
        precondition(blockStates[block].contains(.beingWritten), "bitmap block \(block) is not being written")
        blockStates[block].remove(.beingWritten)
        if !succeeded { blockStates[block].formUnion([.changed, .cleared]) }
    }

    /// Whether the block lost bits since it was last copied out: the disk must not learn that before it has the data.
    package func hasClearedBits(block: Int) -> Bool { blockStates[block].contains(.cleared) }

    package func isChanged(block: Int) -> Bool { blockStates[block].contains(.changed) }
    package func isBeingWritten(block: Int) -> Bool { blockStates[block].contains(.beingWritten) }

    /// The first changed block from `block` on.
    package func nextChangedBlock(from block: Int) -> Int? {
        var block = max(block, 0)
        while block < blockCount {
            if blockStates[block].contains(.changed) { return block }
            block += 1
        }
        return nil
    }

    /// The first block from `block` on that is not on disk as it is: changed, or being written.
    package func nextUnwrittenBlock(from block: Int) -> Int? {
        var block = max(block, 0)
        while block < blockCount {
            if !blockStates[block].isDisjoint(with: [.changed, .beingWritten]) { return block }
            block += 1
        }
        return nil
    }

    /// The whole bitmap is to be written.
    package func markAllChanged() {
        for block in blockStates.indices { blockStates[block].insert(.changed) }
    }

    /// Another size of the device. New blocks count as out of sync if `settingNewBits`; the last block of the old size
    /// is among them if it was a partial one and grew. The whole bitmap is changed afterwards. No block is being
    /// written.
    package func resize(sectors: UInt64, settingNewBits: Bool) {
        precondition(!blockStates.contains { $0.contains(.beingWritten) }, "resize during a bitmap write")
        let (oldSectors, oldBlocks, oldWords) = (sectorCount, blockCount, words)
        clearBits(Self.bits(ofSectors: sectors)..<max(bitCount, Self.bits(ofSectors: sectors)))
        sectorCount = sectors
        bitCount = Self.bits(ofSectors: sectors)
        let newBlocks = Self.blocks(ofBits: bitCount)
        if newBlocks != oldBlocks {
            words = Self.allocate(newBlocks)
            words.update(from: oldWords, count: min(oldBlocks, newBlocks) * Self.wordsPerBlock)
            oldWords.deallocate()
            extentCounts = Array(extentCounts.prefix(newBlocks * 8))
            extentCounts += Array(repeating: 0, count: newBlocks * 8 - extentCounts.count)
            blockStates = Array(repeating: [], count: newBlocks)
        }
        if settingNewBits && sectors > oldSectors {
            setBits(Int(oldSectors / Self.sectorsPerBit)..<bitCount)
        }
        markAllChanged()
    }
}

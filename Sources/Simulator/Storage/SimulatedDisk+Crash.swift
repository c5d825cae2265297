internal import Replication

extension SimulatedDisk {
    /// The program that used the disk is gone, the machine lives: what was completed stays, of what was under way any
    /// part may have happened.
    package func crashOfProgram(_ damage: CrashDamage) {
        let undo = finishOperationsUnderWay()
        revert(undo, damage)
        // What is left of them is in the cache like any completed write.
        if character.hasVolatileCache { cachedWrites.append(contentsOf: undo) }
    }

    /// The machine lost its power: of what was completed but not flushed, and of what was under way, any part may be
    /// there.
    package func powerFailure(_ damage: CrashDamage) {
        let undo = finishOperationsUnderWay()
        revert(cachedWrites + undo, damage)
        firstCachedWrite += cachedWrites.count
        cachedWrites.removeAll(keepingCapacity: true)
    }

    /// A flush failed: half of what was completed is gone, and the next flush knows nothing of it.
    func loseCache() {
        revert(cachedWrites, .someWrites(percent: 50))
        firstCachedWrite += cachedWrites.count
        cachedWrites.removeAll(keepingCapacity: true)
    }

    /// Carries out all writes under way, in any order; returns how to undo them.
    private func finishOperationsUnderWay() -> [CachedWrite] {
        var waiting = underWay.compactMap { $0 }
        forgetOperationsUnderWay()
        var undo: [CachedWrite] = []
        while !waiting.isEmpty {
            let operation = waiting.remove(at: random.below(waiting.count))
            switch operation.kind {
            case .read: continue
            case .flush:
                if random.chance(1, in: 2) { makeDurable(below: operation.makesDurable) }
                continue
            case .write, .discard, .writeZeroes: break
            }
            if operation.makesDurable >= 0 {
                // Data that goes after a flush is there only if the flush was.
                if random.chance(1, in: 2) { continue }
                makeDurable(below: operation.makesDurable)
            }
            undo.append(self.undo(offset: operation.offset, count: operation.byteCount))
            apply(operation)
        }
        return undo
    }

    /// Takes writes back, the youngest first. A sector that keeps a write keeps it against all older ones.
    private func revert(_ writes: [CachedWrite], _ damage: CrashDamage) {
        if case .everythingReached = damage { return }
        var settled = SectorSet(sectorCount: byteCount / 512)
        for write in writes.reversed() {
            let isWholeKept =
                switch damage {
                case .someWrites(let percent): random.chance(percent, in: 100)
                default: false
                }
            for sector in 0..<write.byteCount / 512 {
                let number = write.offset / 512 + sector
                if settled.contains(number) { continue }
                if isWholeKept || write.isDurable?[sector] == true || isSectorKept(damage) {
                    settled.insert(number)
                    continue
                }
                guard let before = write.before else {
                    store.zero(offset: number * 512, count: 512)
                    continue
                }
                before.withUnsafeBytes { bytes in
                    guard let base = bytes.baseAddress else { return }
                    store.write(offset: number * 512, count: 512, from: base + sector * 512)
                }
            }
        }
    }

    private func isSectorKept(_ damage: CrashDamage) -> Bool {
        guard case .someSectors(let percent) = damage else { return false }
        return random.chance(percent, in: 100)
    }
}

/// A set of sector numbers of one disk.
private struct SectorSet {
    private var words: [UInt64]

    init(sectorCount: Int) {
        words = Array(repeating: 0, count: (sectorCount + 63) / 64)
    }

    func contains(_ sector: Int) -> Bool {
        words[sector / 64] & (1 << UInt64(sector % 64)) != 0
    }

    mutating func insert(_ sector: Int) {
        words[sector / 64] |= 1 << UInt64(sector % 64)
    }
}

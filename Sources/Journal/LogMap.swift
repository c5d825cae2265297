/// Where the blocks of a journal file lie on the volume, and how log positions follow each other.
///
/// ```
///   journal block   0            first                         end
///                   superblock   | log: tail ... head ->        |
///                                ^------------ wraps -----------'
/// ```
/// Spec: ocfs2-disk 14, 14.3.
struct LogMap {
    private let runs: [Journal.Run]
    /// Journal block of each run's begin.
    private let begins: [UInt64]
    /// Blocks of the journal file.
    let fileBlockCount: UInt64
    /// First log block.
    private(set) var first: UInt32 = 1
    /// One past the last log block.
    private(set) var end: UInt32 = 1

    /// Throws when the runs leave a device of `deviceBlockCount` blocks.
    init(runs: [Journal.Run], deviceBlockCount: UInt64) throws(JournalError) {
        var begins: [UInt64] = []
        var total: UInt64 = 0
        for run in runs where run.blockCount > 0 {
            guard run.block < deviceBlockCount, UInt64(run.blockCount) <= deviceBlockCount - run.block else {
                throw .corrupt("blocks \(run.block)+\(run.blockCount) of the journal file lie beyond the device")
            }
            begins.append(total)
            total += UInt64(run.blockCount)
        }
        guard total > 0 else { throw .corrupt("the journal file is empty") }
        self.runs = runs.filter { $0.blockCount > 0 }
        self.begins = begins
        fileBlockCount = total
    }

    /// Sets the log's ends; `end` is at most ``fileBlockCount``, `first` below it.
    mutating func setLog(first: UInt32, end: UInt32) {
        precondition(first < end && UInt64(end) <= fileBlockCount, "log \(first)..<\(end) of \(fileBlockCount)")
        self.first = first
        self.end = end
    }

    /// Blocks that the log can hold.
    var capacity: Int { Int(end - first) }

    func contains(_ position: UInt32) -> Bool { position >= first && position < end }

    /// The position `count` blocks further, around the end if need be.
    func position(_ position: UInt32, advancedBy count: Int) -> UInt32 {
        first + UInt32((Int(position - first) + count) % capacity)
    }

    /// Block of the volume, and how many blocks from there on are neighbours in log and volume.
    func place(of position: UInt32) -> (block: UInt64, contiguousCount: Int) {
        let index = runIndex(of: UInt64(position))
        let inRun = UInt64(position) - begins[index]
        let count = min(UInt64(runs[index].blockCount) - inRun, UInt64(max(end, position + 1) - position))
        return (runs[index].block + inRun, Int(count))
    }

    /// Whether the block of the volume belongs to the journal file.
    func holds(_ block: UInt64) -> Bool {
        runs.contains { block >= $0.block && block - $0.block < UInt64($0.blockCount) }
    }

    /// The pieces of the log from `position` on, at most `countMax` blocks each.
    func pieces(from position: UInt32, count: Int, countMax: Int) -> [(block: UInt64, count: Int)] {
        var pieces: [(block: UInt64, count: Int)] = []
        var position = position
        var left = count
        while left > 0 {
            let place = place(of: position)
            let piece = min(left, place.contiguousCount, countMax)
            pieces.append((place.block, piece))
            position = self.position(position, advancedBy: piece)
            left -= piece
        }
        return pieces
    }

    private func runIndex(of position: UInt64) -> Int {
        var low = 0
        var high = begins.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if begins[middle] <= position { low = middle } else { high = middle }
        }
        return low
    }
}

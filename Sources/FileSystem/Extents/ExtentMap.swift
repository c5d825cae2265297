/// What is known of the mapping of one file, so that reads need not go through the tree: runs of mapped and unmapped
/// clusters in order.
///
/// Forgotten where the mapping changes, and as a whole when the metadata lock is lost.
struct ExtentMap {
    struct Run: Equatable {
        var cpos: UInt64
        var end: UInt64
        /// nil: nothing is mapped.
        var extent: Extent?
    }

    private var runs: [Run] = []
    private static let countMax = 4096

    /// Index of the first run that ends behind the cluster.
    private func index(endingBehind cpos: UInt64) -> Int {
        var low = 0, high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].end <= cpos { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The known run that holds the cluster.
    func run(at cpos: UInt64) -> Run? {
        let low = index(endingBehind: cpos)
        guard low < runs.count, runs[low].cpos <= cpos else { return nil }
        return runs[low]
    }

    mutating func add(_ run: Run) {
        if runs.count >= Self.countMax { runs.removeAll(keepingCapacity: true) }
        forget(run.cpos..<run.end)
        runs.insert(run, at: index(endingBehind: run.cpos))
    }

    /// Forgets all runs that touch the range.
    mutating func forget(_ range: Range<UInt64>) {
        let first = index(endingBehind: range.lowerBound)
        var last = first
        while last < runs.count, runs[last].cpos < range.upperBound { last += 1 }
        runs.removeSubrange(first..<last)
    }

    mutating func forgetAll() {
        runs.removeAll(keepingCapacity: true)
    }
}

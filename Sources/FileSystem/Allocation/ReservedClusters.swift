/// Clusters that are free on disk and that nobody else may take: sorted ranges that do not overlap.
struct ReservedClusters {
    private(set) var ranges: [Range<UInt32>] = []

    var isEmpty: Bool { ranges.isEmpty }

    /// The ranges that overlap `range`, cut to it.
    func overlaps(with range: Range<UInt32>) -> [Range<UInt32>] {
        var found: [Range<UInt32>] = []
        var index = firstIndex(endingAfter: range.lowerBound)
        while index < ranges.count, ranges[index].lowerBound < range.upperBound {
            found.append(ranges[index].clamped(to: range))
            index += 1
        }
        return found
    }

    mutating func insert(_ range: Range<UInt32>) {
        let index = firstIndex(endingAfter: range.lowerBound)
        precondition(
            index == ranges.count || ranges[index].lowerBound >= range.upperBound,
            "clusters \(range) are reserved twice")
        ranges.insert(range, at: index)
    }

    /// Removes a part of one range that was inserted.
    mutating func remove(_ range: Range<UInt32>) {
        let index = firstIndex(endingAfter: range.lowerBound)
        precondition(
            index < ranges.count && ranges[index].lowerBound <= range.lowerBound
                && ranges[index].upperBound >= range.upperBound, "clusters \(range) are not reserved")
        let whole = ranges[index]
        let rest = [whole.lowerBound..<range.lowerBound, range.upperBound..<whole.upperBound].filter { !$0.isEmpty }
        ranges.replaceSubrange(index...index, with: rest)
    }

    private func firstIndex(endingAfter cluster: UInt32) -> Int {
        var low = 0, high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= cluster { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

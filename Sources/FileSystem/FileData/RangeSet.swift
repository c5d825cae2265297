/// Numbers below 2^64, kept as sorted ranges that neither overlap nor touch. For bytes and clusters of files.
struct RangeSet: Equatable {
    private(set) var ranges: [Range<UInt64>] = []
    /// Numbers in the set.
    private(set) var count: UInt64 = 0

    init() {}

    init(_ range: Range<UInt64>) {
        insert(range)
    }

    var isEmpty: Bool { ranges.isEmpty }

    /// Index of the first range that ends behind `number`.
    private func index(endingBehind number: UInt64) -> Int {
        // Most often the last one or nothing: files grow at their end.
        if let last = ranges.last, last.upperBound <= number { return ranges.count }
        var low = 0, high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func contains(_ number: UInt64) -> Bool {
        let index = index(endingBehind: number)
        return index < ranges.count && ranges[index].lowerBound <= number
    }

    func contains(_ range: Range<UInt64>) -> Bool {
        guard !range.isEmpty else { return true }
        let index = index(endingBehind: range.lowerBound)
        return index < ranges.count && ranges[index].lowerBound <= range.lowerBound
            && ranges[index].upperBound >= range.upperBound
    }

    func overlaps(_ range: Range<UInt64>) -> Bool {
        let index = index(endingBehind: range.lowerBound)
        return !range.isEmpty && index < ranges.count && ranges[index].lowerBound < range.upperBound
    }

    mutating func insert(_ range: Range<UInt64>) {
        guard !range.isEmpty else { return }
        // A range that ends where this one begins joins too.
        var first = index(endingBehind: range.lowerBound)
        if first > 0, ranges[first - 1].upperBound == range.lowerBound { first -= 1 }
        var lower = range.lowerBound, upper = range.upperBound
        var last = first
        while last < ranges.count, ranges[last].lowerBound <= upper {
            lower = min(lower, ranges[last].lowerBound)
            upper = max(upper, ranges[last].upperBound)
            count -= ranges[last].upperBound - ranges[last].lowerBound
            last += 1
        }
        count += upper - lower
        if last == first + 1 {
            ranges[first] = lower..<upper
        } else {
            ranges.replaceSubrange(first..<last, with: CollectionOfOne(lower..<upper))
        }
    }

    mutating func insert(_ other: RangeSet) {
        for range in other.ranges { insert(range) }
    }

    mutating func remove(_ range: Range<UInt64>) {
        guard !range.isEmpty else { return }
        let first = index(endingBehind: range.lowerBound)
        var last = first
        var rest: [Range<UInt64>] = []
        while last < ranges.count, ranges[last].lowerBound < range.upperBound {
            let old = ranges[last]
            if old.lowerBound < range.lowerBound { rest.append(old.lowerBound..<range.lowerBound) }
            if old.upperBound > range.upperBound { rest.append(range.upperBound..<old.upperBound) }
            let removed = old.clamped(to: range)
            count -= removed.upperBound - removed.lowerBound
            last += 1
        }
        ranges.replaceSubrange(first..<last, with: rest)
    }

    /// The parts of `range` that are in the set, in order.
    func parts(in range: Range<UInt64>) -> [Range<UInt64>] {
        var result: [Range<UInt64>] = []
        var index = index(endingBehind: range.lowerBound)
        while index < ranges.count, ranges[index].lowerBound < range.upperBound {
            let part = ranges[index].clamped(to: range)
            if !part.isEmpty { result.append(part) }
            index += 1
        }
        return result
    }

    /// The parts of `range` that are not in the set, in order.
    func gaps(in range: Range<UInt64>) -> [Range<UInt64>] {
        var result: [Range<UInt64>] = []
        var start = range.lowerBound
        for part in parts(in: range) {
            if part.lowerBound > start { result.append(start..<part.lowerBound) }
            start = part.upperBound
        }
        if start < range.upperBound { result.append(start..<range.upperBound) }
        return result
    }
}

extension UInt64 {
    /// The multiple of `unit`, a power of two, at or below.
    func roundedDown(to unit: Int) -> UInt64 { self & ~(UInt64(unit) - 1) }
    /// The multiple of `unit`, a power of two, at or above; saturates.
    func roundedUp(to unit: Int) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(UInt64(unit) - 1)
        return (overflow ? UInt64.max : sum).roundedDown(to: unit)
    }
}

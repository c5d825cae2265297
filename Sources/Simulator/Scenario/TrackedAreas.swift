/// The parts of a volume that applications use, as a dense numbering of their sectors.
///
/// Everything outside stays zero for ever, so that nothing but these sectors needs a history.
package struct TrackedAreas: Sendable {
    package struct Area: Sendable {
        /// First sector on the volume.
        package var sector: UInt64
        package var count: Int
        /// Number of its first sector among all tracked ones.
        package var firstIndex: Int
    }

    /// By sector, not overlapping.
    package private(set) var areas: [Area] = []
    /// All tracked sectors.
    package private(set) var count = 0

    package init() {}

    /// Adds sectors behind all that are there.
    package mutating func append(sector: UInt64, count: Int) {
        if let last = areas.last {
            precondition(last.sector + UInt64(last.count) <= sector, "areas overlap or are out of order")
        }
        areas.append(Area(sector: sector, count: count, firstIndex: self.count))
        self.count += count
    }

    /// Number of a sector; nil if it is not tracked.
    package func index(of sector: UInt64) -> Int? {
        var low = 0
        var high = areas.count
        while low < high {
            let middle = (low + high) / 2
            if areas[middle].sector + UInt64(areas[middle].count) <= sector { low = middle + 1 } else { high = middle }
        }
        guard low < areas.count, areas[low].sector <= sector else { return nil }
        return areas[low].firstIndex + Int(sector - areas[low].sector)
    }

    /// The sector with this number.
    package func sector(at index: Int) -> UInt64 {
        var low = 0
        var high = areas.count
        while low + 1 < high {
            let middle = (low + high) / 2
            if areas[middle].firstIndex <= index { low = middle } else { high = middle }
        }
        return areas[low].sector + UInt64(index - areas[low].firstIndex)
    }
}

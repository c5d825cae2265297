import OCFS2Layout

/// The global bitmap of a volume that is being planned. Groups that nothing was taken from are not stored.
struct ClusterBitmap {
    let geometry: VolumeGeometry
    let clusterCount: UInt32
    /// Bitmaps of the groups that have more than their descriptor.
    private var touched: [UInt32: [UInt8]] = [:]
    /// Bits in use in ``touched`` groups.
    private var usedInTouched: [UInt32: Int] = [:]

    init(geometry: VolumeGeometry, clusterCount: UInt32) {
        self.geometry = geometry
        self.clusterCount = clusterCount
        // The leading blocks, and the first descriptor behind them.
        take(0..<geometry.cluster(ofBlock: geometry.firstClusterGroup) + 1)
    }

    var groupCount: UInt32 { geometry.clusterGroupCount(clusters: clusterCount) }

    /// Bits of a group.
    func bits(ofGroup group: UInt32) -> Int {
        let first = UInt64(group) * UInt64(geometry.clustersPerGroup)
        return Int(min(UInt64(clusterCount) - first, UInt64(geometry.clustersPerGroup)))
    }

    func used(inGroup group: UInt32) -> Int { usedInTouched[group] ?? 1 }

    /// Bits in use on the whole volume.
    var used: UInt64 {
        usedInTouched.values.reduce(UInt64(groupCount) - UInt64(usedInTouched.count)) { $0 + UInt64($1) }
    }

    /// The group's bitmap, `bg_size` bytes.
    func bytes(ofGroup group: UInt32) -> [UInt8] {
        if let bytes = touched[group] { return bytes }
        var bytes = [UInt8](repeating: 0, count: geometry.clusterGroupBitmapSize)
        bytes[0] = 1
        return bytes
    }

    /// Marks clusters as used that are free, in one group or more.
    mutating func take(_ clusters: Range<UInt32>) {
        var next = clusters.lowerBound
        while next < clusters.upperBound {
            let group = geometry.clusterGroup(ofCluster: next)
            let bit = Int(geometry.clusterGroupBit(ofCluster: next))
            let count = min(Int(clusters.upperBound - next), bits(ofGroup: group) - bit)
            precondition(count > 0, "clusters \(clusters) lie behind the volume")
            var bytes = bytes(ofGroup: group)
            bytes.withUnsafeMutableBytes {
                BitmapView($0, bitCount: $0.count * 8).set(bit..<bit + count)
            }
            let used = bytes.withUnsafeBytes {
                BitmapView(reading: $0, bitCount: $0.count * 8).usedCount(in: 0..<$0.count * 8)
            }
            touched[group] = bytes
            usedInTouched[group] = used
            next += UInt32(count)
        }
    }

    /// Takes the first run of `count` clusters that lies in one group.
    mutating func takeRun(_ count: Int) throws(FormatRefusal) -> UInt32 {
        for group in 0..<groupCount {
            if let run = run(in: group, wanted: count, minimum: count) { return takeBits(run, of: group).lowerBound }
        }
        throw FormatRefusal("The volume is too small: no \(count) free clusters in one piece.")
    }

    /// Takes `count` clusters in as few runs as first fit gives: in each group the first run that is long enough, else
    /// the longest one.
    mutating func takeRuns(_ count: UInt32) throws(FormatRefusal) -> [Range<UInt32>] {
        var runs: [Range<UInt32>] = []
        var missing = Int(count)
        for group in 0..<groupCount {
            while missing > 0, let run = run(in: group, wanted: missing, minimum: 1) {
                runs.append(takeBits(run, of: group))
                missing -= run.count
            }
            if missing == 0 { return runs }
        }
        throw FormatRefusal("The volume is too small: \(missing) clusters are missing.")
    }

    private func run(in group: UInt32, wanted: Int, minimum: Int) -> Range<Int>? {
        let bits = bits(ofGroup: group)
        guard touched[group] != nil else { return bits > minimum ? 1..<min(bits, wanted + 1) : nil }
        return bytes(ofGroup: group).withUnsafeBytes {
            BitmapView(reading: $0, bitCount: bits).findRun(wanted: wanted, minimum: minimum, in: 0..<bits)
        }
    }

    private mutating func takeBits(_ run: Range<Int>, of group: UInt32) -> Range<UInt32> {
        let first = group * geometry.clustersPerGroup
        let clusters = first + UInt32(run.lowerBound)..<first + UInt32(run.upperBound)
        take(clusters)
        return clusters
    }
}

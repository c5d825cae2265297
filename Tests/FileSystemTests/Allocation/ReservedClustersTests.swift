import Testing

@testable import FileSystem

struct ReservedClustersTests {
    @Test("ranges stay sorted, are cut, and are found where they overlap")
    func ranges() {
        var reserved = ReservedClusters()
        reserved.insert(100..<110)
        reserved.insert(10..<20)
        reserved.insert(20..<30)
        #expect(reserved.ranges == [10..<20, 20..<30, 100..<110])
        #expect(reserved.overlaps(with: 0..<10) == [])
        #expect(reserved.overlaps(with: 15..<101) == [15..<20, 20..<30, 100..<101])
        reserved.remove(12..<14)
        #expect(reserved.ranges == [10..<12, 14..<20, 20..<30, 100..<110])
        reserved.remove(10..<12)
        reserved.remove(14..<20)
        reserved.remove(20..<30)
        reserved.remove(100..<110)
        #expect(reserved.isEmpty)
    }

    @Test("a run in a group is cut where groups begin")
    func pieces() throws {
        let geometry = try makeGeometry()
        // 7680 clusters in a group at 1024-byte blocks
        let pieces = geometry.piecesInGroups(of: ClusterRun(cluster: 7670, count: 7700))
        #expect(
            pieces == [
                ClusterRun(cluster: 7670, count: 10), ClusterRun(cluster: 7680, count: 7680),
                ClusterRun(cluster: 15360, count: 10),
            ])
    }
}

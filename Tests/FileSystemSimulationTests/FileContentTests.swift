import FileSystemSimulation
import Testing

/// The judge of recovered files must itself be just.
struct FileContentTests {
    private func content() -> FileContent {
        var content = FileContent()
        content.write([1, 2, 3, 4], at: 0)
        content.synced()
        content.write([9, 9], at: 2)
        content.write([7], at: 6)
        return content
    }

    @Test("Bytes may be as at the sync or as after any write since")
    func allowed() {
        let content = content()
        for found in [[1, 2, 3, 4], [1, 2, 9, 4], [1, 2, 9, 9, 0, 0, 7], [1, 2, 3, 4, 0, 0, 7]] as [[UInt8]] {
            #expect(content.fault(inRecovered: found) == nil, "\(found)")
        }
    }

    @Test("Bytes that were never written there, and sizes that never were, are faults")
    func refused() {
        let content = content()
        for found in [[1, 2, 3], [0, 2, 3, 4], [1, 2, 3, 4, 5], [1, 2, 9, 9, 0, 0, 7, 0]] as [[UInt8]] {
            #expect(content.fault(inRecovered: found) != nil, "\(found)")
        }
    }

    @Test("After a cut and growth old bytes and zeroes may be there until the next sync, then only zeroes")
    func truncated() {
        var content = content()
        content.truncate(to: 1)
        content.truncate(to: 3)
        #expect(content.fault(inRecovered: [1, 2, 3]) == nil)
        #expect(content.fault(inRecovered: [1, 0, 0]) == nil)
        content.synced()
        #expect(content.fault(inRecovered: [1, 2, 3]) != nil)
    }
}

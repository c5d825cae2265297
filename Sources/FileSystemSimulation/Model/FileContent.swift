/// The bytes of a file as programs see them, and what a disk may hold of them after a crash.
///
/// After a crash every byte is as it was at the last sync or after one of the changes since then, and the size is between
/// the smallest and the largest of that time.
package struct FileContent {
    /// A change since the last sync.
    private struct Edit {
        var offset: Int
        /// What the bytes from `offset` on became.
        var bytes: ArraySlice<UInt8>
    }

    package private(set) var bytes: [UInt8] = []
    /// As of the last sync.
    private var durable: [UInt8] = []
    private var edits: [Edit] = []
    private var sizes = 0...0

    package init() {}

    package var count: Int { bytes.count }

    package mutating func write(_ new: [UInt8], at offset: Int) {
        guard !new.isEmpty else { return }
        if offset > bytes.count { grow(to: offset) }
        let end = offset + new.count
        if end > bytes.count { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
        bytes.replaceSubrange(offset..<end, with: new)
        changed(offset..<end)
    }

    package mutating func zero(_ range: Range<Int>) {
        let part = range.clamped(to: 0..<bytes.count)
        guard !part.isEmpty else { return }
        bytes.replaceSubrange(part, with: repeatElement(0, count: part.count))
        changed(part)
    }

    package mutating func truncate(to size: Int) {
        guard size < bytes.count else { return grow(to: size) }
        // A program that grows the file again sees zeroes there.
        let range = size..<bytes.count
        bytes.removeLast(range.count)
        edits.append(Edit(offset: size, bytes: ArraySlice(repeatElement(0, count: range.count))))
        noteSize()
    }

    private mutating func grow(to size: Int) {
        let range = bytes.count..<size
        guard !range.isEmpty else { return }
        bytes += [UInt8](repeating: 0, count: range.count)
        changed(range)
    }

    private mutating func changed(_ range: Range<Int>) {
        edits.append(Edit(offset: range.lowerBound, bytes: bytes[range]))
        noteSize()
    }

    private mutating func noteSize() {
        sizes = min(sizes.lowerBound, bytes.count)...max(sizes.upperBound, bytes.count)
    }

    /// What is there now has been synced.
    package mutating func synced() {
        durable = bytes
        edits = []
        sizes = bytes.count...bytes.count
    }

    /// What is wrong with bytes that were found after a crash; nil: nothing.
    package func fault(inRecovered found: [UInt8]) -> String? {
        guard sizes.contains(found.count) else { return "size \(found.count) is not in \(sizes)" }
        if found == bytes || found == durable { return nil }
        var isExplained = [Bool](repeating: false, count: found.count)
        for index in found.indices {
            isExplained[index] = found[index] == (index < durable.count ? durable[index] : 0)
        }
        for edit in edits {
            for (index, byte) in zip(edit.offset..., edit.bytes) {
                guard index < found.count else { break }
                if found[index] == byte { isExplained[index] = true }
            }
        }
        guard let bad = isExplained.firstIndex(of: false) else { return nil }
        let count = isExplained[bad...].prefix { !$0 }.count
        let part = found[bad..<min(bad + 16, bad + count)].map { String($0, radix: 16) }.joined(separator: " ")
        return "\(count) bytes from \(bad) on were never written there: \(part); \(edits.count) changes since the sync"
    }
}

internal import Glibc

/// The bytes of a disk, kept only where something other than zero was ever written: 4 KiB pages.
final class PageStore {
    static let pageSize = 4096

    let byteCount: Int
    private let pageCount: Int
    private let pages: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    /// Numbers of the pages that exist, in the order in which they came.
    private(set) var usedPages: [Int] = []

    init(byteCount: Int) {
        self.byteCount = byteCount
        pageCount = (byteCount + Self.pageSize - 1) / Self.pageSize
        let size = MemoryLayout<UnsafeMutableRawPointer?>.stride
        guard let table = calloc(max(1, pageCount), size) else { fatalError("no memory for a disk") }
        pages = table.bindMemory(to: UnsafeMutableRawPointer?.self, capacity: max(1, pageCount))
    }

    deinit {
        for page in usedPages { free(pages[page]) }
        free(pages)
    }

    func read(offset: Int, count: Int, into target: UnsafeMutableRawPointer) {
        forEachPart(offset: offset, count: count) { page, start, length, done in
            if let source = pages[page] {
                (target + done).copyMemory(from: source + start, byteCount: length)
            } else {
                memset(target + done, 0, length)
            }
        }
    }

    func write(offset: Int, count: Int, from source: UnsafeRawPointer) {
        forEachPart(offset: offset, count: count) { page, start, length, done in
            // Zeroes where nothing was need no page: a resync writes many of them.
            if pages[page] == nil, Self.isZero(source + done, length) { return }
            (existingPage(page) + start).copyMemory(from: source + done, byteCount: length)
        }
    }

    func zero(offset: Int, count: Int) {
        forEachPart(offset: offset, count: count) { page, start, length, _ in
            if let target = pages[page] { memset(target + start, 0, length) }
        }
    }

    /// Bytes of a page; nil while it holds nothing but zeroes that were never written.
    func page(_ number: Int) -> UnsafeRawPointer? {
        number < pageCount ? UnsafeRawPointer(pages[number]) : nil
    }

    /// Whether nothing but zeroes was ever written there.
    func isUntouched(offset: Int, count: Int) -> Bool {
        guard count > 0 else { return true }
        for page in offset / Self.pageSize...(offset + count - 1) / Self.pageSize where pages[page] != nil {
            return false
        }
        return true
    }

    private static func isZero(_ bytes: UnsafeRawPointer, _ count: Int) -> Bool {
        var position = 0
        while position < count {
            var combined: UInt64 = 0
            for word in 0..<64 {
                combined |= bytes.loadUnaligned(fromByteOffset: position + 8 * word, as: UInt64.self)
            }
            if combined != 0 { return false }
            position += 512
        }
        return true
    }

    private func existingPage(_ number: Int) -> UnsafeMutableRawPointer {
        if let page = pages[number] { return page }
        guard let page = calloc(1, Self.pageSize) else { fatalError("no memory for a page") }
        pages[number] = page
        usedPages.append(number)
        return page
    }

    private func forEachPart(
        offset: Int, count: Int, _ body: (_ page: Int, _ start: Int, _ length: Int, _ done: Int) -> Void
    ) {
        precondition(offset >= 0 && count >= 0 && offset + count <= byteCount, "\(offset)+\(count) leaves the disk")
        var done = 0
        while done < count {
            let start = (offset + done) % Self.pageSize
            let length = min(Self.pageSize - start, count - done)
            body((offset + done) / Self.pageSize, start, length, done)
            done += length
        }
    }
}

/// Keeps the READs and WRITEs of one file that touch the same page in the order of their arrival; others overtake.
///
/// Without it a READ could be answered with what a WRITE that came earlier has not written yet, and the kernel would keep
/// the old page for good. Two READs never wait for each other. Spec: fuse 9.4, 22.
final class PageRangeQueue {
    private struct Entry {
        var ticket: UInt64
        var pages: ClosedRange<UInt64>
        var isWrite: Bool
        var isWriteBack = false
        /// Nil: it runs.
        var waiter: UnsafeContinuation<Void, Never>?

        func conflicts(with pages: ClosedRange<UInt64>, isWrite: Bool) -> Bool {
            (self.isWrite || isWrite) && self.pages.overlaps(pages)
        }
    }

    private static let pageShift: UInt64 = 12

    /// In the order of arrival.
    private var entries: [Entry] = []
    private var lastTicket: UInt64 = 0

    init() {}

    var isEmpty: Bool { entries.isEmpty }

    /// Waits for those before that touch a page of the range; hand the ticket to ``leave(_:)``.
    func enter(
        byteOffset: UInt64, byteCount: UInt64, isWrite: Bool, isWriteBack: Bool = false
    ) async -> UInt64 {
        let last = byteOffset.addingReportingOverflow(max(byteCount, 1) - 1)
        let end = last.overflow ? UInt64.max : last.partialValue
        let pages = (byteOffset >> Self.pageShift)...(end >> Self.pageShift)
        lastTicket += 1
        let ticket = lastTicket
        let mustWait = entries.contains { $0.conflicts(with: pages, isWrite: isWrite) }
        entries.append(Entry(ticket: ticket, pages: pages, isWrite: isWrite, isWriteBack: isWriteBack))
        if mustWait {
            let index = entries.count - 1
            await withUnsafeContinuation { entries[index].waiter = $0 }
        }
        return ticket
    }

    /// Lets the write-back go that waits: who is before it waits for a lock that cannot be given up before.
    func letWriteBackPass() {
        for index in entries.indices where entries[index].isWriteBack {
            guard let waiter = entries[index].waiter else { continue }
            entries[index].waiter = nil
            waiter.resume()
        }
    }

    func leave(_ ticket: UInt64) {
        guard let index = entries.firstIndex(where: { $0.ticket == ticket }) else {
            preconditionFailure("a page range is left twice")
        }
        entries.remove(at: index)
        // Only who came later can have waited for this one.
        for later in index..<entries.count {
            guard let waiter = entries[later].waiter else { continue }
            let entry = entries[later]
            let isFree = !entries[..<later].contains { $0.conflicts(with: entry.pages, isWrite: entry.isWrite) }
            guard isFree else { continue }
            entries[later].waiter = nil
            waiter.resume()
        }
    }
}

internal import EngineKit

/// What the kernel may have in its page cache of one node, and which requests keep pages of it locked there.
///
/// A READ under way locks its pages, which hold nothing until it is answered. A write(2) under way locks the page of its
/// last byte. A notification that drops pages waits for locked ones. Spec: fuse 9.3, 21.
final class KernelPages {
    typealias ByteRange = Range<UInt64>

    private static let pageByteCount: UInt64 = 4096

    /// Pages were given out, or filled by a write, since the last time that all were dropped.
    var mayExist = false
    /// READs of the page cache that are not answered.
    private(set) var reads: [UInt64: ByteRange] = [:]
    /// The pages that WRITEs under way keep locked.
    private(set) var writeTails: [UInt64: ByteRange] = [:]
    /// WRITEs of dirty pages that are not answered.
    private(set) var writeBackCount = 0
    /// Dirty pages could not be written.
    var failure: (any Error)?
    /// Pages are being dropped: nothing that waits for the lock may be waited for.
    var isRecalling = false
    /// Pages are being dropped for the first handle that may write.
    var isDroppingForWriter = false
    /// A request came or was answered.
    let changed = AsyncSignal()
    private var lastRequest: UInt64 = 0

    init() {}

    func beginRead(at byteOffset: UInt64, byteCount: Int) -> UInt64 {
        lastRequest += 1
        reads[lastRequest] = Self.pages(byteOffset, byteCount)
        changed.notify()
        return lastRequest
    }

    func endRead(_ request: UInt64) {
        reads[request] = nil
        mayExist = true
        changed.notify()
    }

    func beginWrite(at byteOffset: UInt64, byteCount: Int) -> UInt64 {
        lastRequest += 1
        let last = byteOffset.addingReportingOverflow(UInt64(max(byteCount, 1) - 1))
        writeTails[lastRequest] = Self.pages(last.overflow ? byteOffset : last.partialValue, 1)
        changed.notify()
        return lastRequest
    }

    func endWrite(_ request: UInt64) {
        writeTails[request] = nil
        mayExist = true
        changed.notify()
    }

    func beginWriteBack() { writeBackCount += 1 }

    func endWriteBack() {
        writeBackCount -= 1
        changed.notify()
    }

    /// For whoever looks for a request that hangs.
    var stateText: String {
        "\(reads.count) reads, \(writeTails.count) writes, \(writeBackCount) written back"
            + (isRecalling ? ", being taken back" : "")
    }

    private static func pages(_ byteOffset: UInt64, _ byteCount: Int) -> ByteRange {
        let first = byteOffset / pageByteCount * pageByteCount
        let end = byteOffset.addingReportingOverflow(UInt64(max(byteCount, 1)))
        guard !end.overflow, end.partialValue <= UInt64(Int64.max) else { return first..<UInt64(Int64.max) }
        return first..<(end.partialValue + pageByteCount - 1) / pageByteCount * pageByteCount
    }
}

/// Parts of a file that still have to be dropped, each with the notification that does it.
struct PageDrops {
    private(set) var waiting: [UInt64: Range<UInt64>] = [:]
    private var last: UInt64 = 0

    var isDone: Bool { waiting.isEmpty }

    mutating func begin(_ range: Range<UInt64>) -> UInt64 {
        last += 1
        waiting[last] = range
        return last
    }

    mutating func ended(_ number: UInt64) {
        waiting[number] = nil
    }

    /// A request has locked the pages of `locked`: whoever drops a range with them is not waited for any more. Answers the
    /// ranges that have to be dropped instead.
    mutating func pass(over locked: Range<UInt64>) -> [Range<UInt64>] {
        var again: [Range<UInt64>] = []
        for (number, range) in waiting.sorted(by: { $0.key < $1.key }) where range.overlaps(locked) {
            waiting[number] = nil
            again += Self.parts(of: range, without: [locked])
        }
        return again
    }

    /// What is left of a range without the others.
    static func parts(of range: Range<UInt64>, without holes: [Range<UInt64>]) -> [Range<UInt64>] {
        var parts: [Range<UInt64>] = []
        var start = range.lowerBound
        for hole in holes.sorted(by: { $0.lowerBound < $1.lowerBound }) where hole.overlaps(range) {
            if hole.lowerBound > start { parts.append(start..<hole.lowerBound) }
            start = max(start, hole.upperBound)
        }
        if start < range.upperBound { parts.append(start..<range.upperBound) }
        return parts
    }
}

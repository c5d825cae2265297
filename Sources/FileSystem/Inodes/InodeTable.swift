internal import EngineKit

/// The inodes in memory, by number.
///
/// An inode is *referenced* (open, looked up by the kernel, used by an operation) or *unused*: kept for the next user, and
/// dropped when there are too many.
final class InodeTable {
    /// Unused inodes that are kept.
    static let unusedMax = 4096

    private var inodes: [UInt64: Inode] = [:]
    /// Numbers that somebody loads right now.
    private var loading: Set<UInt64> = []
    let loaded = AsyncSignal()
    /// Uses that ended, oldest first; an inode that was used again has a higher ``Inode/lastUse``.
    private var unused: [(number: UInt64, use: UInt64)] = []
    private var firstUnused = 0
    private(set) var unusedCount = 0
    private var lastUse: UInt64 = 0

    subscript(number: UInt64) -> Inode? { inodes[number] }

    func isLoading(_ number: UInt64) -> Bool { loading.contains(number) }

    func beginLoading(_ number: UInt64) {
        loading.insert(number)
    }

    func endLoading(_ number: UInt64, _ inode: Inode?) {
        loading.remove(number)
        if let inode { insert(inode) }
        loaded.notify()
    }

    /// One reference is the caller's.
    func insert(_ inode: Inode) {
        precondition(inodes[inode.number] == nil, "inode \(inode.number) is in memory twice")
        inode.referenceCount = 1
        inodes[inode.number] = inode
    }

    func retain(_ inode: Inode) {
        if inode.referenceCount == 0 { unusedCount -= 1 }
        inode.referenceCount += 1
    }

    /// One more reference for an inode whose last one has just ended: it is not kept, and so not counted as unused.
    func retainEnding(_ inode: Inode) {
        precondition(inode.referenceCount == 0, "inode \(inode.number) is in use")
        inode.referenceCount += 1
    }

    /// true: that was the last reference.
    func release(_ inode: Inode) -> Bool {
        precondition(inode.referenceCount > 0, "inode \(inode.number) is released but not referenced")
        inode.referenceCount -= 1
        return inode.referenceCount == 0
    }

    /// Keeps the inode, which has no references, for the next user.
    func keep(_ inode: Inode) {
        lastUse += 1
        inode.lastUse = lastUse
        unused.append((inode.number, lastUse))
        unusedCount += 1
        // Uses that ended long ago and began again: most of the list, when few inodes are used often.
        if unused.count - firstUnused > 2 * unusedCount + Self.unusedMax {
            unused = unused[firstUnused...].filter { isUnused($0.number, since: $0.use) }
            firstUnused = 0
        }
    }

    private func isUnused(_ number: UInt64, since use: UInt64) -> Bool {
        guard let inode = inodes[number] else { return false }
        return inode.lastUse == use && inode.referenceCount == 0
    }

    /// Does nothing the second time.
    func remove(_ inode: Inode) {
        guard inodes[inode.number] === inode else { return }
        inodes[inode.number] = nil
        inode.unpin()
    }

    /// The unused inode that waits longest, if more than `limit` do. It has a reference then: the caller's.
    func takeOldest(above limit: Int = unusedMax) -> Inode? {
        guard unusedCount > limit else { return nil }
        while firstUnused < unused.count {
            let (number, use) = unused[firstUnused]
            firstUnused += 1
            if firstUnused > 1024, firstUnused * 2 > unused.count {
                unused.removeFirst(firstUnused)
                firstUnused = 0
            }
            if let inode = inodes[number], isUnused(number, since: use) {
                retain(inode)
                return inode
            }
        }
        return nil
    }

    /// Entries of the list of unused inodes, stale ones included.
    var listLength: Int { unused.count - firstUnused }

    /// All inodes in memory, in the order of their numbers.
    var all: [Inode] { inodes.values.sorted { $0.number < $1.number } }
}

package import EngineKit

/// One metadata block in memory. There is at most one object for a block number; everybody shares it.
///
/// Its bytes may be changed only through a ``JournalHandle`` that has been told (``JournalHandle/modify(_:)``).
package final class MetadataBlock {
    /// Block number on the volume.
    package let number: UInt64
    /// The block's bytes, one block long. They live as long as this object.
    package let slice: IOSlice
    /// What the owner knows the block to be after checking it; 0: not checked since it was read. See ``BlockSealer``.
    package var kind: UInt8 = 0
    /// What ``BlockCache/clock`` was when the contents came from the disk, or when the block was made.
    package internal(set) var age: UInt64 = 0
    /// While above 0 the cache keeps the block.
    package var pinCount = 0 {
        didSet {
            precondition(pinCount >= 0, "block \(number) is unpinned more often than pinned")
            if (pinCount == 0) != (oldValue == 0) { holdsChanged(by: pinCount == 0 ? -1 : 1) }
        }
    }

    /// The running transaction that has the block, or the last one that had it. 0: none.
    package internal(set) var transaction: UInt64 = 0
    /// The newest committed transaction with an image that is not in its place yet. 0: none.
    var committedTransaction: UInt64 = 0
    /// Images of the block in transactions that are not in their place yet, including the running one.
    private(set) var unwrittenImages = 0

    /// Place in the cache's table.
    var slot = -1
    /// Reasons to stay in memory: pins and unwritten images.
    private(set) var holds = 0
    private unowned let cache: BlockCache?
    private let memory: BlockMemory?
    private let place: BlockMemory.Place

    init(number: UInt64, cache: BlockCache) {
        self.number = number
        self.cache = cache
        memory = cache.memory
        (place, slice) = cache.memory.take()
    }

    /// A block outside of any cache, for tests.
    init(number: UInt64, slice: IOSlice) {
        self.number = number
        self.slice = slice
        cache = nil
        memory = nil
        place = .none
    }

    deinit {
        memory?.giveBack(place)
    }

    package var bytes: UnsafeMutableRawBufferPointer { slice.bytes }

    func addUnwrittenImage() {
        unwrittenImages += 1
        holdsChanged(by: 1)
    }

    func removeUnwrittenImage() {
        precondition(unwrittenImages > 0, "block \(number) has no unwritten image")
        unwrittenImages -= 1
        holdsChanged(by: -1)
    }

    private func holdsChanged(by difference: Int) {
        let wasHeld = holds > 0
        holds += difference
        guard slot >= 0, let cache, wasHeld != (holds > 0) else { return }
        if wasHeld { cache.becameFree(self) } else { cache.becameHeld(self) }
    }
}

/// Finishes images of blocks before they go to disk, for example by computing their checksums.
package protocol BlockSealer: AnyObject {
    /// Called once for each image of a committed block. Spec: ocfs2-disk 14.4 rule 5.
    func seal(_ image: UnsafeMutableRawBufferPointer, number: UInt64, kind: UInt8)
}

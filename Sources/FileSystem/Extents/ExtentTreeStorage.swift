internal import Journal
internal import OCFS2Layout

/// What the algorithms of extent trees need from the volume: blocks, and a transaction for changes.
protocol ExtentTreeStorage {
    var parameters: VolumeParameters { get }

    /// The extent block, read and checked.
    func read(_ number: UInt64) async throws(FileSystemError) -> MetadataBlock
    /// The error for a tree that is not what the format says.
    func corrupt(_ block: UInt64, _ what: String) -> FileSystemError

    /// Adds the block to the transaction.
    func modify(_ block: MetadataBlock)
    /// A new extent block with an empty list of this depth, part of the transaction.
    func claim(depth: Int) async throws(FileSystemError) -> MetadataBlock
    /// Gives an extent block back.
    func free(_ block: MetadataBlock) async throws(FileSystemError)
    /// Makes sure that the transaction takes this many blocks that it has not yet. Called before the first change.
    func needCredits(_ count: Int) throws(FileSystemError)
}

/// Storage for lookups: changing anything through it is a bug.
struct ExtentTreeReader: ExtentTreeStorage {
    let volume: MountedVolume
    let owner: Inode?
    /// For a tree without an owner.
    let validSince: UInt64

    var parameters: VolumeParameters { volume.parameters }

    func read(_ number: UInt64) async throws(FileSystemError) -> MetadataBlock {
        try await volume.block(number, .extentBlock, for: owner, notOlderThan: validSince)
    }

    func corrupt(_ block: UInt64, _ what: String) -> FileSystemError {
        volume.report(Corruption(block: block, inode: owner?.number, what: what))
    }

    func modify(_ block: MetadataBlock) { preconditionFailure("a lookup changes block \(block.number)") }

    func claim(depth: Int) async throws(FileSystemError) -> MetadataBlock {
        preconditionFailure("a lookup claims an extent block")
    }

    func free(_ block: MetadataBlock) async throws(FileSystemError) {
        preconditionFailure("a lookup frees block \(block.number)")
    }

    func needCredits(_ count: Int) throws(FileSystemError) {}
}

/// Storage for changes inside a journal handle.
struct ExtentTreeChanger: ExtentTreeStorage {
    let volume: MountedVolume
    let owner: Inode?
    /// For a tree without an owner.
    let validSince: UInt64
    /// For changes that may add blocks.
    let reservation: Reservation?
    let handle: JournalHandle

    var parameters: VolumeParameters { volume.parameters }

    func read(_ number: UInt64) async throws(FileSystemError) -> MetadataBlock {
        try await volume.block(number, .extentBlock, for: owner, notOlderThan: validSince)
    }

    func corrupt(_ block: UInt64, _ what: String) -> FileSystemError {
        volume.report(Corruption(block: block, inode: owner?.number, what: what))
    }

    func modify(_ block: MetadataBlock) { handle.modify(block) }

    func claim(depth: Int) async throws(FileSystemError) -> MetadataBlock {
        guard let reservation else { preconditionFailure("an extent tree grows without a reservation") }
        let claimed = try await reservation.claimMetadataBlock(handle)
        let block = volume.freshBlock(claimed.number, .extentBlock)
        ExtentBlock.initialize(block.bytes, block: claimed.number, depth: depth, claimed.place, parameters)
        handle.modify(block)
        return block
    }

    func free(_ block: MetadataBlock) async throws(FileSystemError) {
        let place = ExtentBlock.suballocation(UnsafeRawBufferPointer(block.bytes))
        try await volume.freeMetadataBlock(place, block.number, handle)
    }

    func needCredits(_ count: Int) throws(FileSystemError) {
        guard handle.ensure(credits: count) else {
            throw .aborted("a change of \(count) extent blocks does not fit a transaction")
        }
    }
}

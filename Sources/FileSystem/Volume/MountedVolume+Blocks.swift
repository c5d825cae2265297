package import Journal

extension MountedVolume {
    /// The metadata block, read and checked: signature, own number, generation, block check, bounds of lists. The checks
    /// are made once while the block stays in memory.
    ///
    /// - Parameter inode: whom it is read for; for messages, and directory blocks must name it.
    package func block(
        _ number: UInt64, _ kind: BlockKind, for inode: Inode?
    ) async throws(FileSystemError) -> MetadataBlock {
        fatalError("not built")
    }

    /// As ``block(_:_:for:)`` for several blocks, read at once.
    package func blocks(
        _ numbers: [UInt64], _ kind: BlockKind, for inode: Inode?
    ) async throws(FileSystemError) -> [MetadataBlock] {
        fatalError("not built")
    }

    /// A block that was just allocated: all bytes zero, nothing is read.
    package func freshBlock(_ number: UInt64, _ kind: BlockKind) -> MetadataBlock {
        fatalError("not built")
    }

    /// Opens a journal handle. `readOnly` and `aborted` when the mount does not write (any more).
    package func begin(credits: Int) async throws(FileSystemError) -> JournalHandle {
        fatalError("not built")
    }

    /// Logs what is wrong with the volume, does what `errors=` says, and gives the error to throw.
    package func report(_ corruption: Corruption) -> FileSystemError {
        fatalError("not built")
    }

    /// Makes all metadata changes of this mount durable.
    package func commit() async throws(FileSystemError) {
        fatalError("not built")
    }
}

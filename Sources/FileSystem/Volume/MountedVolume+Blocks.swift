internal import EngineKit
package import Journal
internal import OCFS2Layout

extension MountedVolume {
    /// The metadata block, read and checked: signature, own number, generation, block check, bounds of lists. The checks
    /// are made once while the block stays in memory; whose it is, each time.
    ///
    /// - Parameters:
    ///   - inode: whom it is read for; for messages, and directory blocks and groups must name it. What was read before its
    ///     metadata lock came back is read again.
    ///   - age: for blocks that belong to no inode, since when they cannot have been changed by others.
    package func block(
        _ number: UInt64, _ kind: BlockKind, for inode: Inode?, notOlderThan age: UInt64 = 0
    ) async throws(FileSystemError) -> MetadataBlock {
        try requireOnVolume(number, inode)
        let block: MetadataBlock
        do throws(BlockDeviceError) {
            block = try await cache.read(number, notOlderThan: inode?.validSince ?? age)
        } catch {
            throw .device(error)
        }
        try requireChecked(block, kind, inode)
        return block
    }

    /// As ``block(_:_:for:)`` for several blocks, read at once.
    package func blocks(
        _ numbers: [UInt64], _ kind: BlockKind, for inode: Inode?
    ) async throws(FileSystemError) -> [MetadataBlock] {
        for number in numbers { try requireOnVolume(number, inode) }
        let blocks: [MetadataBlock]
        do throws(BlockDeviceError) {
            let age = inode?.validSince ?? 0
            var read = try await cache.read(numbers)
            for index in read.indices where read[index].age < age {
                read[index] = try await cache.read(numbers[index], notOlderThan: age)
            }
            blocks = read
        } catch {
            throw .device(error)
        }
        for block in blocks { try requireChecked(block, kind, inode) }
        return blocks
    }

    private func requireChecked(
        _ block: MetadataBlock, _ kind: BlockKind, _ inode: Inode?
    ) throws(FileSystemError) {
        guard block.kind == kind.rawValue else { return try verify(block, kind, for: inode) }
        try requireOwner(of: block, kind, inode)
    }

    /// A block that was just allocated: all bytes zero, nothing is read.
    package func freshBlock(_ number: UInt64, _ kind: BlockKind) -> MetadataBlock {
        let block = cache.fresh(number)
        block.kind = kind.rawValue
        return block
    }

    private func requireOnVolume(_ number: UInt64, _ inode: Inode?) throws(FileSystemError) {
        guard number > 2, number < parameters.blockCount else {
            throw report(
                Corruption(
                    block: inode?.number ?? number, inode: inode?.number,
                    what: "it names block \(number), the volume has 3 to \(parameters.blockCount - 1)"))
        }
    }
}

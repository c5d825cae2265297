internal import EngineKit
package import Journal
internal import OCFS2Layout

extension MountedVolume {
    /// The metadata block, read and checked: signature, own number, generation, block check, bounds of lists. The checks
    /// are made once while the block stays in memory.
    ///
    /// - Parameter inode: whom it is read for; for messages, and directory blocks and groups must name it.
    package func block(
        _ number: UInt64, _ kind: BlockKind, for inode: Inode?
    ) async throws(FileSystemError) -> MetadataBlock {
        try requireOnVolume(number, inode)
        let block: MetadataBlock
        do throws(BlockDeviceError) {
            block = try await cache.read(number)
        } catch {
            throw .device(error)
        }
        if block.kind != kind.rawValue { try verify(block, kind, for: inode) }
        return block
    }

    /// As ``block(_:_:for:)`` for several blocks, read at once.
    package func blocks(
        _ numbers: [UInt64], _ kind: BlockKind, for inode: Inode?
    ) async throws(FileSystemError) -> [MetadataBlock] {
        for number in numbers { try requireOnVolume(number, inode) }
        let blocks: [MetadataBlock]
        do throws(BlockDeviceError) {
            blocks = try await cache.read(numbers)
        } catch {
            throw .device(error)
        }
        for block in blocks where block.kind != kind.rawValue { try verify(block, kind, for: inode) }
        return blocks
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

internal import EngineKit
internal import Journal
internal import LayoutKit
internal import OCFS2Layout

// Checks of metadata blocks as they come from disk. Everything that later code indexes with must have been checked here.
// Spec: ocfs2-disk 3, 5.5.
extension MountedVolume {
    /// Checks the block as `kind` and marks it so.
    func verify(_ block: MetadataBlock, _ kind: BlockKind, for inode: Inode?) throws(FileSystemError) {
        do throws(LayoutError) {
            if features.hasMetaecc, let offset = kind.checkOffset(blockSize: blockSize) {
                if case .corrected(let bit) = try BlockCheck.verify(block.bytes, at: offset) {
                    environment.log(.warning, "block \(block.number): bit \(bit) was wrong and is corrected in memory")
                }
            }
            try validate(UnsafeRawBufferPointer(block.bytes), block.number, kind, inode)
        } catch {
            throw report(Corruption(block: block.number, inode: inode?.number, what: error.description))
        }
        block.kind = kind.rawValue
    }

    private func validate(
        _ bytes: UnsafeRawBufferPointer, _ number: UInt64, _ kind: BlockKind, _ inode: Inode?
    ) throws(LayoutError) {
        switch kind {
        case .dinode:
            try Dinode.validate(bytes, block: number, parameters)
        case .extentBlock:
            try ExtentBlock.validate(bytes, block: number, parameters)
            // What the leaves name depends on the tree: its code checks more.
            try ExtentListView(reading: bytes, offset: ExtentBlock.listOffset)
                .validateRecords(parameters, isMappingClusters: false)
        case .groupDescriptor:
            guard let inode else { preconditionFailure("group \(number) is read for no allocator") }
            let allocator = GroupDescriptor.Allocator(dinode: UnsafeRawBufferPointer(inode.block.bytes))
            try GroupDescriptor.validate(bytes, block: number, of: allocator, parameters)
        case .directoryData:
            guard let inode else { preconditionFailure("directory block \(number) is read for no directory") }
            guard parameters.directoryHasTrailer(isIndexed: inode.isIndexed) else { return }
            try DirectoryTrailer.validate(bytes, block: number, directory: inode.number, parameters)
        case .indexRoot:
            guard let inode else { preconditionFailure("index root \(number) is read for no directory") }
            try IndexRoot.validate(bytes, block: number, directory: inode.number, parameters)
        case .indexLeaf:
            try IndexLeaf.validate(bytes, block: number, parameters)
        case .xattrBlock, .refcountBlock:
            try validateHeader(bytes, number, kind)
        case .plain, .xattrBucket, .quota:
            break
        }
    }

    /// Signature, own number and generation of the kinds whose contents their own code checks.
    private func validateHeader(
        _ bytes: UnsafeRawBufferPointer, _ number: UInt64, _ kind: BlockKind
    ) throws(LayoutError) {
        let (signature, block, generation): (FixedSignature, LE64, LE32) =
            switch kind {
            case .xattrBlock: (.xattrBlock, LE64(offset: 0x10), LE32(offset: 0x0c))
            case .refcountBlock: (.refcountBlock, LE64(offset: 0x10), LE32(offset: 0x0c))
            default: preconditionFailure("kind \(kind) has no such header")
            }
        try signature.require(bytes, at: LE64(offset: 0))
        guard bytes[block] == number else {
            throw .badValue(field: "own block", found: bytes[block], expected: "\(number)")
        }
        guard bytes[generation] == parameters.generation else {
            throw .badValue(
                field: "volume generation", found: UInt64(bytes[generation]), expected: "\(parameters.generation)")
        }
    }
}

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

    /// Checks that a block which was checked before, perhaps for another inode, belongs to this one: two inodes of a damaged
    /// volume may name the same block.
    func requireOwner(of block: MetadataBlock, _ kind: BlockKind, _ inode: Inode?) throws(FileSystemError) {
        guard let inode else { return }
        let bytes = block.bytes
        let isOwner =
            switch kind {
            case .groupDescriptor:
                bytes[GroupDescriptor.Field.parent] == inode.number
                    && bytes[GroupDescriptor.Field.chain] < inode.block.bytes[ChainList.Field.count]
            case .directoryData:
                !parameters.directoryHasTrailer(isIndexed: inode.isIndexed)
                    || bytes[DirectoryTrailer.directory(bytes.count)] == inode.number
            case .indexRoot: bytes[IndexRoot.Field.directory] == inode.number
            case .dinode, .extentBlock, .indexLeaf, .xattrBlock, .refcountBlock, .plain, .xattrBucket, .quota: true
            }
        guard !isOwner else { return }
        do throws(LayoutError) {
            try validate(UnsafeRawBufferPointer(bytes), block.number, kind, inode)
        } catch {
            throw report(Corruption(block: block.number, inode: inode.number, what: error.description))
        }
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
        case .xattrBlock:
            try XattrBlock.validate(bytes, block: number, parameters)
        case .refcountBlock:
            // Whose leaf it is, the refcount tree checks.
            let isLeaf = RefcountBlock.kind(bytes) == .leaf
            try RefcountBlock.validate(
                bytes, block: number, root: isLeaf ? bytes[RefcountBlock.Field.parent] : nil, parameters)
        case .plain, .xattrBucket, .quota:
            break
        }
    }
}

internal import Journal
internal import OCFS2Layout

extension BlockKind {
    /// Where the block's check lies; nil: it has none of its own. Spec: ocfs2-disk 15.
    func checkOffset(blockSize: Int) -> Int? {
        switch self {
        case .dinode: BlockCheck.dinodeOffset
        case .extentBlock, .indexRoot, .indexLeaf: BlockCheck.treeOffset
        case .groupDescriptor: BlockCheck.groupOffset
        case .xattrBlock: BlockCheck.xattrBlockOffset
        case .refcountBlock: BlockCheck.refcountOffset
        case .directoryData, .quota: BlockCheck.trailerOffset(blockSize: blockSize)
        case .plain, .xattrBucket: nil
        }
    }
}

/// Writes the check into images of metadata blocks before they go to disk, on volumes that have checks.
/// Spec: ocfs2-disk 14.4 rule 5, 15.
final class VolumeSealer: BlockSealer {
    private let hasChecks: Bool
    private let blockSize: Int

    init(_ parameters: VolumeParameters) {
        hasChecks = parameters.features.hasMetaecc
        blockSize = parameters.blockSize
    }

    func seal(_ image: UnsafeMutableRawBufferPointer, number: UInt64, kind: UInt8) {
        guard hasChecks else { return }
        guard let kind = BlockKind(rawValue: kind) else {
            preconditionFailure("block \(number) of no kind is written")
        }
        if let offset = kind.checkOffset(blockSize: blockSize) {
            BlockCheck.store(into: image, at: offset)
        }
    }
}

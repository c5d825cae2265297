import EngineKit
import JournalLayout
import LayoutKit

/// What a log says: the committed transactions, from the tail on. Spec: ocfs2-disk 14.5 steps 2 and 3.
struct LogScan {
    struct Image {
        /// Where it belongs, block of the volume.
        var target: UInt64
        /// Where it lies in the log.
        var position: UInt32
        var isEscaped: Bool
        var sequence: UInt32
    }

    private(set) var transactionCount = 0
    /// The first number without a commit block.
    private(set) var endSequence: UInt32
    /// In the order of the log.
    private(set) var images: [Image] = []
    /// The last transaction that revoked a block.
    private(set) var revoked: [UInt64: UInt32] = [:]

    /// Reads from the tail to the first block that does not belong to the next transaction.
    init(_ file: LogFile, environment: any EngineEnvironment) async throws(JournalError) {
        endSequence = file.superblock.sequence
        guard file.superblock.start != 0 else { return }
        var reader = LogReader(file)
        var position = file.superblock.start
        var left = file.map.capacity
        var pending = Pending()
        var visited = 0
        while left > 0 {
            visited += 1
            if visited % 64 == 0 { await environment.yield() }
            let bytes = UnsafeRawBufferPointer(try await reader.block(at: position).bytes)
            guard let header = JournalBlockHeader(decoding: bytes), header.sequence == endSequence else { return }
            var length = 1
            switch header.type {
            case .descriptor:
                let tags = JournalDescriptor.tags(decoding: bytes, file.superblock.tagFormat)
                length += tags.count
                for (index, tag) in tags.enumerated() where length <= left {
                    pending.images.append(
                        Image(
                            target: tag.block, position: file.map.position(position, advancedBy: 1 + index),
                            isEscaped: tag.flags.contains(.escaped), sequence: endSequence))
                }
            case .revoke:
                do throws(LayoutError) {
                    pending.revokes += try JournalRevoke.blocks(decoding: bytes, file.superblock.tagFormat)
                } catch {
                    throw .corrupt("revoke block at position \(position) of the log: \(error)")
                }
            case .commit:
                accept(pending)
                pending = Pending()
            case .superblock, .oldSuperblock, nil:
                return
            }
            position = file.map.position(position, advancedBy: length)
            left -= length
        }
    }

    /// The newest image of each block that is to be replayed, ascending by block.
    func imagesToReplay() -> [Image] {
        let valid = images.enumerated().filter { _, image in
            guard let revoke = revoked[image.target] else { return true }
            return Self.isAfter(image.sequence, revoke)
        }
        let sorted = valid.sorted { ($0.element.target, $0.offset) < ($1.element.target, $1.offset) }
        var newest: [Image] = []
        for (_, image) in sorted {
            if newest.last?.target == image.target { newest.removeLast() }
            newest.append(image)
        }
        return newest
    }

    private mutating func accept(_ pending: Pending) {
        images += pending.images
        for block in pending.revokes { revoked[block] = endSequence }
        transactionCount += 1
        endSequence &+= 1
    }

    /// Numbers run over after 2^32.
    private static func isAfter(_ left: UInt32, _ right: UInt32) -> Bool {
        Int32(bitPattern: left &- right) > 0
    }

    private struct Pending {
        var images: [Image] = []
        var revokes: [UInt64] = []
    }
}

import EngineKit
import JournalLayout
import LayoutKit

/// The log blocks of one transaction, in memory as they will lie on disk. Spec: ocfs2-disk 14.3.
///
/// ```
///   descriptor | image ... image | descriptor | image ... | commit block (apart: written last)
/// ```
/// Buffers follow the pieces of the log, so that each is written with one transfer.
final class LogWrite {
    let transaction: Transaction
    private let file: LogFile
    private let cache: BlockCache
    private var pieces: [(block: UInt64, slice: IOSlice)] = []
    /// Descriptor blocks, one for each ``JournalTagFormat/tagsPerDescriptor(blockSize:)`` images.
    private var descriptors: [IOSlice] = []
    private let commitBlock: UInt64

    private static let pieceByteCountMax = 1 << 20

    /// Copies the images; fills ``Transaction/frozen``.
    init(_ transaction: Transaction, _ file: LogFile, _ cache: BlockCache) {
        self.transaction = transaction
        self.file = file
        self.cache = cache
        let blockSize = cache.blockSize
        let count = transaction.logBlockCount
        commitBlock = file.map.place(of: file.map.position(transaction.logStart, advancedBy: count - 1)).block
        var slices: [IOSlice] = []
        slices.reserveCapacity(count - 1)
        for piece in file.map.pieces(
            from: transaction.logStart, count: count - 1, countMax: Self.pieceByteCountMax / blockSize)
        {
            let byteCount = piece.count * blockSize
            let slice = IOSlice(buffer: cache.buffers.take(byteCount: byteCount), offset: 0, count: byteCount)
            pieces.append((piece.block, slice))
            for index in 0..<piece.count { slices.append(slice.part(offset: index * blockSize, count: blockSize)) }
        }
        let perDescriptor = file.tagsPerDescriptor
        transaction.frozen.reserveCapacity(transaction.blocks.count)
        var next = 0
        for (index, block) in transaction.blocks.enumerated() {
            if index % perDescriptor == 0 {
                descriptors.append(slices[next])
                next += 1
            }
            let slice = slices[next]
            next += 1
            slice.bytes.copyMemory(from: UnsafeRawBufferPointer(block.bytes))
            transaction.frozen.append(
                Transaction.Frozen(block: block, kind: block.kind, logImage: slice, homeImage: slice))
        }
        precondition(next == slices.count, "\(next) log blocks made for \(slices.count) places")
    }

    /// Finishes the images and writes the descriptors.
    func seal(_ sealer: any BlockSealer, _ environment: any EngineEnvironment) async throws(JournalError) {
        for index in transaction.frozen.indices {
            if index % 64 == 63 { await environment.yield() }
            let frozen = transaction.frozen[index]
            sealer.seal(frozen.logImage.bytes, number: frozen.block.number, kind: frozen.kind)
            if frozen.logImage.bytes[JournalBlockHeader.Field.magic] == JournalBlockHeader.magic { escape(index) }
        }
        let perDescriptor = file.tagsPerDescriptor
        for (index, slice) in descriptors.enumerated() {
            let first = index * perDescriptor
            let part = transaction.frozen[first..<min(first + perDescriptor, transaction.frozen.count)]
            let tags = part.map { JournalTag(block: $0.block.number, flags: $0.isEscaped ? .escaped : []) }
            JournalDescriptor.encode(
                tags, sequence: transaction.sequence, file.superblock.tagFormat, into: slice.bytes)
        }
    }

    /// Everything but the commit block.
    var transfers: [BlockTransfer] {
        pieces.map { piece in
            BlockTransfer(
                .write(forceUnitAccess: false), at: cache.byteOffset(of: piece.block), byteCount: piece.slice.count,
                data: piece.slice)
        }
    }

    func commitTransfer(at time: WallTime) -> BlockTransfer {
        let slice = LogFile.buffer(cache.blockSize)
        JournalCommit(sequence: transaction.sequence, seconds: time.seconds, nanoseconds: time.nanoseconds)
            .encode(into: slice.bytes)
        return BlockTransfer(
            .write(forceUnitAccess: true), at: cache.byteOffset(of: commitBlock), byteCount: cache.blockSize,
            data: slice)
    }

    /// An image that looks like a control block of the log gets zeroes for the magic there, and keeps it at home.
    private func escape(_ index: Int) {
        let image = transaction.frozen[index].logImage
        let home = LogFile.buffer(cache.blockSize)
        home.bytes.copyMemory(from: UnsafeRawBufferPointer(image.bytes))
        transaction.frozen[index].homeImage = home
        transaction.frozen[index].isEscaped = true
        image.bytes[JournalBlockHeader.Field.magic] = 0
    }
}

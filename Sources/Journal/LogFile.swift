import EngineKit
import JournalLayout
import LayoutKit

/// The journal file of one slot: its superblock, its log blocks.
///
/// Its blocks never pass through ``BlockCache``: nobody but the journal reads them, and once.
struct LogFile {
    let device: any BlockDevice
    let blockSize: Int
    private(set) var map: LogMap
    /// As on disk, or as it was last written.
    private(set) var superblock: JournalSuperblock
    /// All bytes of the superblock's block: what this code does not know stays as it is.
    private var superblockBytes: [UInt8]

    /// Reads and checks the superblock.
    init(cache: BlockCache, runs: [Journal.Run]) async throws(JournalError) {
        device = cache.device
        blockSize = cache.blockSize
        map = try LogMap(runs: runs, deviceBlockCount: cache.device.byteCount / UInt64(cache.blockSize))
        let slice = Self.buffer(blockSize)
        let (device, offset) = (device, map.place(of: 0).block * UInt64(blockSize))
        try await reportingDeviceErrors { () async throws(BlockDeviceError) in try await device.read(slice, at: offset)
        }
        do throws(LayoutError) {
            superblock = try JournalSuperblock(decoding: UnsafeRawBufferPointer(slice.bytes))
            try superblock.check(blockSize: blockSize, blockCount: map.fileBlockCount)
        } catch {
            throw .corrupt("superblock of the journal, block \(map.place(of: 0).block): \(error)")
        }
        // mkfs.ocfs2 writes s_start 1 at every block size, also at 512 bytes where the log begins at 2.
        // Spec: ocfs2-disk 14.2; ocfs2-disk-2 B.3.
        if superblock.start > 0 { superblock.start = max(superblock.start, superblock.first) }
        guard superblock.tagFormat == .wide || device.byteCount / UInt64(blockSize) <= UInt64(UInt32.max) + 1 else {
            throw .corrupt("the journal cannot name all blocks of the volume: it lacks the feature 64bit")
        }
        superblockBytes = Array(slice.bytes)
        map.setLog(first: superblock.first, end: superblock.blockCount)
    }

    /// Sets the log's tail, durably when it returns. `start` 0: the log is empty.
    mutating func writeSuperblock(start: UInt32, sequence: UInt32) async throws(JournalError) {
        let transfer = superblockWrite(start: start, sequence: sequence)
        let device = device
        try await reportingDeviceErrors { () async throws(BlockDeviceError) in try await device.perform(transfer) }
    }

    /// The write that sets the log's tail.
    mutating func superblockWrite(start: UInt32, sequence: UInt32) -> BlockTransfer {
        superblock.start = start
        superblock.sequence = sequence
        let superblock = superblock
        superblockBytes.withUnsafeMutableBytes { superblock.encode(into: $0) }
        let slice = Self.buffer(blockSize)
        slice.bytes.copyBytes(from: superblockBytes)
        return BlockTransfer(
            .write(forceUnitAccess: true), at: map.place(of: 0).block * UInt64(blockSize), byteCount: blockSize,
            data: slice)
    }

    var tagsPerDescriptor: Int { superblock.tagFormat.tagsPerDescriptor(blockSize: blockSize) }

    /// Log blocks of a transaction with `imageCount` images: descriptors, images, commit block.
    func logBlockCount(imageCount: Int) -> Int {
        imageCount + (imageCount + tagsPerDescriptor - 1) / tagsPerDescriptor + 1
    }

    static func buffer(_ byteCount: Int) -> IOSlice {
        IOSlice(buffer: IOBuffer(byteCount: byteCount), offset: 0, count: byteCount)
    }
}

/// Reads log blocks one after the other, with large device reads.
struct LogReader {
    private let file: LogFile
    private var buffer: IOSlice
    private var window: Range<UInt32> = 0..<0

    private static let windowByteCount = 256 << 10

    init(_ file: LogFile) {
        self.file = file
        buffer = LogFile.buffer(Self.windowByteCount)
    }

    /// The block at a log position; the bytes stay until the next call.
    mutating func block(at position: UInt32) async throws(JournalError) -> IOSlice {
        if !window.contains(position) {
            window = 0..<0
            let place = file.map.place(of: position)
            let count = min(place.contiguousCount, Self.windowByteCount / file.blockSize)
            let part = buffer.part(offset: 0, count: count * file.blockSize)
            let (device, offset) = (file.device, place.block * UInt64(file.blockSize))
            try await reportingDeviceErrors { () async throws(BlockDeviceError) in
                try await device.read(part, at: offset)
            }
            window = position..<position + UInt32(count)
        }
        return buffer.part(offset: Int(position - window.lowerBound) * file.blockSize, count: file.blockSize)
    }
}

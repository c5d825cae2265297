internal import EngineKit
internal import Journal
internal import LayoutKit
internal import OCFS2Layout

/// The slot map on disk: always read anew, written directly, one block at a time, under the superblock lock.
/// Spec: ocfs2-disk 13.
struct SlotMapFile {
    private let volume: MountedVolume
    private let blocks: [MetadataBlock]
    private(set) var map: SlotMap
    private var bytes: [UInt8]

    init(reading volume: MountedVolume) async throws(FileSystemError) {
        self.volume = volume
        let inode = try await volume.systemInode(.slotMap)
        let form = SlotMap.Form(volume.features)
        let slots = Int(volume.parameters.slotCount)
        let count = volume.geometry.blocks(coveringBytes: UInt64(slots * form.entryByteCount))
        var blocks: [MetadataBlock] = []
        var bytes: [UInt8] = []
        for number in try await volume.dataBlocks(of: inode, count: count) {
            do throws(BlockDeviceError) {
                let block = try await volume.cache.reread(number)
                block.kind = BlockKind.plain.rawValue
                blocks.append(block)
                bytes += Array(block.bytes)
            } catch {
                throw .device(error)
            }
        }
        self.blocks = blocks
        do throws(LayoutError) {
            map = try bytes.withDecoded { raw throws(LayoutError) in
                try SlotMap(decoding: raw, form: form, slotCount: slots)
            }
        } catch {
            throw volume.report(Corruption(block: inode.number, inode: inode.number, what: error.description))
        }
        self.bytes = bytes
    }

    mutating func occupy(slot: Int, node: UInt32) async throws(FileSystemError) {
        bytes.withUnsafeMutableBytes { map.occupy(slot: slot, node: node, in: $0) }
        try await write(slot)
    }

    mutating func release(slot: Int) async throws(FileSystemError) {
        bytes.withUnsafeMutableBytes { map.release(slot: slot, in: $0) }
        try await write(slot)
    }

    private func write(_ slot: Int) async throws(FileSystemError) {
        let size = volume.blockSize
        let index = SlotMap.block(ofSlot: slot, form: map.form, blockSize: size)
        blocks[index].bytes.copyBytes(from: bytes[index * size..<(index + 1) * size])
        do throws(BlockDeviceError) {
            try await volume.cache.writeThrough(blocks[index])
        } catch {
            throw .device(error)
        }
    }
}

extension [UInt8] {
    /// As `withUnsafeBytes`, for bodies with one kind of error.
    fileprivate func withDecoded<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var outcome: Swift.Result<Result, Failure>?
        withUnsafeBytes { raw in
            do throws(Failure) {
                outcome = .success(try body(raw))
            } catch {
                outcome = .failure(error)
            }
        }
        guard let outcome else { preconditionFailure("the body was not called") }
        return try outcome.get()
    }
}

package import EngineKit
internal import Glibc

/// A disk in memory with a volatile cache, for tests: it can record every write, forget what was not flushed, and fail.
///
/// Memory is taken for sectors that were written only.
package final class MemoryDevice: BlockDevice {
    /// One write or flush, in the order of completion.
    package enum Record {
        case write(byteOffset: UInt64, bytes: [UInt8], forceUnitAccess: Bool)
        case flush
    }

    package let byteCount: UInt64
    package let sectorByteCount: Int
    package var isReadOnly = false
    /// Set to record what is written.
    package var isRecording = false
    package var records: [Record] = []
    /// Asked before each operation; what is not 0 becomes its errno and it does nothing.
    package var fault: ((BlockTransfer) -> Int32)?
    /// How long an operation takes.
    package var latency = Duration.zero
    package private(set) var counts = (reads: 0, writes: 0, flushes: 0)

    private static let chunkByteCount = 65536
    private var chunks: [UInt64: [UInt8]] = [:]
    private unowned let environment: VirtualEnvironment

    package init(byteCount: UInt64, sectorByteCount: Int = 512, environment: VirtualEnvironment) {
        self.byteCount = byteCount
        self.sectorByteCount = sectorByteCount
        self.environment = environment
    }

    package func submit(_ transfer: BlockTransfer, _ completion: @escaping (Int32) -> Void) {
        environment.call(at: environment.now + latency) { [self] in completion(carryOut(transfer)) }
    }

    private func carryOut(_ transfer: BlockTransfer) -> Int32 {
        let end = transfer.byteOffset.addingReportingOverflow(UInt64(transfer.byteCount))
        let unit = UInt64(sectorByteCount)
        guard !end.overflow, end.partialValue <= byteCount, transfer.byteOffset % unit == 0,
            UInt64(transfer.byteCount) % unit == 0, transfer.data.map({ $0.count == transfer.byteCount }) ?? true
        else { return EINVAL }
        if let errno = fault?(transfer), errno != 0 { return errno }
        switch transfer.kind {
        case .read:
            counts.reads += 1
            guard let data = transfer.data else { return EINVAL }
            read(at: transfer.byteOffset, into: data.bytes)
        case .write(let forceUnitAccess):
            if isReadOnly { return EROFS }
            counts.writes += 1
            guard let data = transfer.data else { return EINVAL }
            write(at: transfer.byteOffset, UnsafeRawBufferPointer(data.bytes))
            if isRecording {
                records.append(
                    .write(
                        byteOffset: transfer.byteOffset, bytes: Array(data.bytes), forceUnitAccess: forceUnitAccess))
            }
        case .flush:
            counts.flushes += 1
            if isRecording { records.append(.flush) }
        case .discard: break
        }
        return 0
    }

    // MARK: Direct access, for tests

    package func read(at byteOffset: UInt64, into bytes: UnsafeMutableRawBufferPointer) {
        forEachPiece(byteOffset, bytes.count) { chunk, inChunk, range in
            let target = UnsafeMutableRawBufferPointer(rebasing: bytes[range])
            if let stored = chunks[chunk] {
                stored.withUnsafeBytes {
                    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[inChunk..<inChunk + range.count]))
                }
            } else {
                target.initializeMemory(as: UInt8.self, repeating: 0)
            }
        }
    }

    package func write(at byteOffset: UInt64, _ bytes: UnsafeRawBufferPointer) {
        forEachPiece(byteOffset, bytes.count) { chunk, inChunk, range in
            let source = UnsafeRawBufferPointer(rebasing: bytes[range])
            chunks[chunk, default: [UInt8](repeating: 0, count: Self.chunkByteCount)].withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[inChunk..<inChunk + range.count]).copyMemory(from: source)
            }
        }
    }

    package func bytes(at byteOffset: UInt64, count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            read(at: byteOffset, into: UnsafeMutableRawBufferPointer(buffer))
            initialized = count
        }
    }

    /// A disk with the same contents, for another host.
    package func copy(environment: VirtualEnvironment) -> MemoryDevice {
        let other = MemoryDevice(byteCount: byteCount, sectorByteCount: sectorByteCount, environment: environment)
        other.chunks = chunks
        return other
    }

    private func forEachPiece(_ byteOffset: UInt64, _ count: Int, _ body: (UInt64, Int, Range<Int>) -> Void) {
        precondition(byteOffset + UInt64(count) <= byteCount, "beyond the end of the disk")
        var done = 0
        while done < count {
            let position = byteOffset + UInt64(done)
            let inChunk = Int(position % UInt64(Self.chunkByteCount))
            let piece = min(count - done, Self.chunkByteCount - inChunk)
            body(position / UInt64(Self.chunkByteCount), inChunk, done..<done + piece)
            done += piece
        }
    }
}

import Glibc

/// A temporary file that holds a disk; removed with the object.
final class SparseFile {
    let path: String
    private let descriptor: Int32

    private static let chunkByteCount = 65536
    /// lseek(2): Linux's SEEK_DATA and SEEK_HOLE, which the C module hides.
    private static let seekData: Int32 = 3, seekHole: Int32 = 4

    init(byteCount: UInt64) {
        // In memory if possible: the tools flush what they write.
        let directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(directory)/volume-XXXXXX".utf8CString)
        descriptor = template.withUnsafeMutableBufferPointer { mkstemp($0.baseAddress!) }
        precondition(descriptor >= 0, "no temporary file: errno \(errno)")
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        precondition(ftruncate(descriptor, off_t(byteCount)) == 0, "no file of \(byteCount) bytes: errno \(errno)")
    }

    deinit {
        close(descriptor)
        unlink(path)
    }

    /// The chunks that are not all zero, with their offsets.
    func contents() -> [(offset: UInt64, bytes: [UInt8])] {
        var chunks: [(UInt64, [UInt8])] = []
        var offset = lseek(descriptor, 0, Self.seekData)
        while offset >= 0 {
            let end = lseek(descriptor, offset, Self.seekHole)
            var start = offset - offset % off_t(Self.chunkByteCount)
            while start < end {
                var chunk = [UInt8](repeating: 0, count: Self.chunkByteCount)
                let count = pread(descriptor, &chunk, chunk.count, start)
                precondition(count > 0, "cannot read \(path): errno \(errno)")
                chunks.append((UInt64(start), Array(chunk[..<count])))
                start += off_t(Self.chunkByteCount)
            }
            offset = start >= lseek(descriptor, 0, SEEK_END) ? -1 : lseek(descriptor, start, Self.seekData)
        }
        return chunks
    }

    /// Writes `bytes` unless all of them are zero and the file has a hole there.
    func write(_ bytes: [UInt8], at offset: UInt64) {
        guard !Self.isZero(bytes) else { return }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
            }
            precondition(count > 0, "cannot write \(path): errno \(errno)")
            done += count
        }
    }

    private static let zeroes = [UInt8](repeating: 0, count: chunkByteCount)

    private static func isZero(_ bytes: [UInt8]) -> Bool {
        bytes.count <= zeroes.count && memcmp(bytes, zeroes, bytes.count) == 0
    }
}

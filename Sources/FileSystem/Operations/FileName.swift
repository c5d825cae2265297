/// One component of a path: 1 ... 255 bytes of any value but 0 and `/`. Spec: ocfs2-disk 8.1.
///
/// Raw bytes, never text: names need not be UTF-8.
package struct FileName: Hashable, Sendable {
    package let bytes: [UInt8]

    package static let byteCountMax = 255

    /// Errors: `nameTooLong` above 255 bytes, `invalidArgument` when empty or with a byte that no name holds.
    package init(_ bytes: some Sequence<UInt8>) throws(FileSystemError) {
        let bytes = [UInt8](bytes)
        guard bytes.count <= Self.byteCountMax else { throw .nameTooLong }
        guard !bytes.isEmpty, !bytes.contains(0), !bytes.contains(0x2F) else { throw .invalidArgument }
        self.bytes = bytes
    }

    /// For names that are known to be well formed.
    init(unchecked bytes: [UInt8]) {
        self.bytes = bytes
    }

    package static let dot = FileName(unchecked: [0x2E])
    package static let dotDot = FileName(unchecked: [0x2E, 0x2E])

    /// Lends the bytes out.
    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try bytes.withUnsafeBufferPointer { buffer throws(Failure) in try body(UnsafeRawBufferPointer(buffer)) }
    }

    /// `.` and `..` lead to directories but are never made, removed or renamed.
    package var isDotOrDotDot: Bool { self == .dot || self == .dotDot }
}

extension FileName: CustomStringConvertible {
    package var description: String { String(decoding: bytes, as: UTF8.self) }
}

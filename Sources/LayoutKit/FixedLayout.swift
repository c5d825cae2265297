/// A structure of fixed size: a packet's fixed part, a block.
@usableFromInline
package protocol FixedLayout {
    /// Size in bytes.
    static var byteCount: Int { get }
    /// Reads the structure from the first ``byteCount`` bytes. More bytes may follow; fewer throw
    /// ``LayoutError/truncated(need:have:)``.
    init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError)
    /// Writes every one of the first ``byteCount`` bytes. A shorter buffer is a bug of the caller.
    func encode(into out: UnsafeMutableRawBufferPointer)
}

extension FixedLayout {
    /// Throws unless ``byteCount`` bytes are there.
    @inlinable @inline(__always)
    package static func require(_ bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(byteCount, of: bytes)
    }
}

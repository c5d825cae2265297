// Places of numbers in the protocol's structures. NBD is big-endian throughout.
//
// A field is read and written through a span that was checked for its length before; outside it traps.

/// A big-endian 16-bit number at a fixed offset.
struct BE16 {
    let offset: Int
}

/// A big-endian 32-bit number at a fixed offset.
struct BE32 {
    let offset: Int
}

/// A big-endian 64-bit number at a fixed offset.
struct BE64 {
    let offset: Int
}

extension RawSpan {
    subscript(field: BE16) -> UInt16 {
        UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt16.self))
    }

    subscript(field: BE32) -> UInt32 {
        UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt32.self))
    }

    subscript(field: BE64) -> UInt64 {
        UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt64.self))
    }

    /// Throws unless at least `count` bytes are there.
    func require(_ count: Int) throws(NBDLayoutError) {
        guard byteCount >= count else { throw .truncated(need: count, have: byteCount) }
    }
}

extension MutableRawSpan {
    mutating func store(_ value: UInt16, _ field: BE16) {
        storeBytes(of: value.bigEndian, toByteOffset: field.offset, as: UInt16.self)
    }

    mutating func store(_ value: UInt32, _ field: BE32) {
        storeBytes(of: value.bigEndian, toByteOffset: field.offset, as: UInt32.self)
    }

    mutating func store(_ value: UInt64, _ field: BE64) {
        storeBytes(of: value.bigEndian, toByteOffset: field.offset, as: UInt64.self)
    }

    /// Copies the UTF-8 bytes of `text` to `offset`.
    mutating func store(text: String, at offset: Int) {
        var position = offset
        for byte in text.utf8 {
            storeBytes(of: byte, toByteOffset: position, as: UInt8.self)
            position += 1
        }
    }
}

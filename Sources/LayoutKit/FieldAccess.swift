// Field access for buffers of the reactor: packets, blocks, rings.

/// The bounds check of every field access; the pointers' own checks are absent from release builds.
@inline(__always)
private func check(_ offset: Int, _ width: Int, _ count: Int) {
    precondition(offset >= 0 && offset <= count &- width, "field lies outside of the bytes")
}

extension UnsafeRawBufferPointer {
    @inline(__always)
    package subscript(field: U8) -> UInt8 {
        check(field.offset, 1, count)
        return loadUnaligned(fromByteOffset: field.offset, as: UInt8.self)
    }

    @inline(__always)
    package subscript(field: BE16) -> UInt16 {
        check(field.offset, 2, count)
        return UInt16(bigEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt16.self))
    }

    @inline(__always)
    package subscript(field: BE32) -> UInt32 {
        check(field.offset, 4, count)
        return UInt32(bigEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt32.self))
    }

    @inline(__always)
    package subscript(field: BE64) -> UInt64 {
        check(field.offset, 8, count)
        return UInt64(bigEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt64.self))
    }

    @inline(__always)
    package subscript(field: LE16) -> UInt16 {
        check(field.offset, 2, count)
        return UInt16(littleEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt16.self))
    }

    @inline(__always)
    package subscript(field: LE32) -> UInt32 {
        check(field.offset, 4, count)
        return UInt32(littleEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt32.self))
    }

    @inline(__always)
    package subscript(field: LE64) -> UInt64 {
        check(field.offset, 8, count)
        return UInt64(littleEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt64.self))
    }
}

extension UnsafeMutableRawBufferPointer {
    @inline(__always)
    package subscript(field: U8) -> UInt8 {
        get {
            check(field.offset, 1, count)
            return loadUnaligned(fromByteOffset: field.offset, as: UInt8.self)
        }
        nonmutating set {
            check(field.offset, 1, count)
            storeBytes(of: newValue, toByteOffset: field.offset, as: UInt8.self)
        }
    }

    @inline(__always)
    package subscript(field: BE16) -> UInt16 {
        get {
            check(field.offset, 2, count)
            return UInt16(bigEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt16.self))
        }
        nonmutating set {
            check(field.offset, 2, count)
            storeBytes(of: newValue.bigEndian, toByteOffset: field.offset, as: UInt16.self)
        }
    }

    @inline(__always)
    package subscript(field: BE32) -> UInt32 {
        get {
            check(field.offset, 4, count)
            return UInt32(bigEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt32.self))
        }
        nonmutating set {
            check(field.offset, 4, count)
            storeBytes(of: newValue.bigEndian, toByteOffset: field.offset, as: UInt32.self)
        }
    }

    @inline(__always)
    package subscript(field: BE64) -> UInt64 {
        get {
            check(field.offset, 8, count)
            return UInt64(bigEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt64.self))
        }
        nonmutating set {
            check(field.offset, 8, count)
            storeBytes(of: newValue.bigEndian, toByteOffset: field.offset, as: UInt64.self)
        }
    }

    @inline(__always)
    package subscript(field: LE16) -> UInt16 {
        get {
            check(field.offset, 2, count)
            return UInt16(littleEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt16.self))
        }
        nonmutating set {
            check(field.offset, 2, count)
            storeBytes(of: newValue.littleEndian, toByteOffset: field.offset, as: UInt16.self)
        }
    }

    @inline(__always)
    package subscript(field: LE32) -> UInt32 {
        get {
            check(field.offset, 4, count)
            return UInt32(littleEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt32.self))
        }
        nonmutating set {
            check(field.offset, 4, count)
            storeBytes(of: newValue.littleEndian, toByteOffset: field.offset, as: UInt32.self)
        }
    }

    @inline(__always)
    package subscript(field: LE64) -> UInt64 {
        get {
            check(field.offset, 8, count)
            return UInt64(littleEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt64.self))
        }
        nonmutating set {
            check(field.offset, 8, count)
            storeBytes(of: newValue.littleEndian, toByteOffset: field.offset, as: UInt64.self)
        }
    }
}

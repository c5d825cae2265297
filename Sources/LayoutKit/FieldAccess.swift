// Field access for buffers of the reactor: packets, blocks, rings.

/// The bounds check of every field access; the pointers' own checks are absent from release builds.
@inlinable @inline(__always)
package func checkField(_ offset: Int, _ width: Int, _ count: Int) {
    precondition(offset >= 0 && offset <= count &- width, "field lies outside of the bytes")
}

extension UnsafeRawBufferPointer {
    @inlinable @inline(__always)
    package subscript(field: U8) -> UInt8 {
        checkField(field.offset, 1, count)
        return loadUnaligned(fromByteOffset: field.offset, as: UInt8.self)
    }

    @inlinable @inline(__always)
    package subscript(field: BE16) -> UInt16 {
        checkField(field.offset, 2, count)
        return UInt16(bigEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt16.self))
    }

    @inlinable @inline(__always)
    package subscript(field: BE32) -> UInt32 {
        checkField(field.offset, 4, count)
        return UInt32(bigEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt32.self))
    }

    @inlinable @inline(__always)
    package subscript(field: BE64) -> UInt64 {
        checkField(field.offset, 8, count)
        return UInt64(bigEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt64.self))
    }

    @inlinable @inline(__always)
    package subscript(field: LE16) -> UInt16 {
        checkField(field.offset, 2, count)
        return UInt16(littleEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt16.self))
    }

    @inlinable @inline(__always)
    package subscript(field: LE32) -> UInt32 {
        checkField(field.offset, 4, count)
        return UInt32(littleEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt32.self))
    }

    @inlinable @inline(__always)
    package subscript(field: LE64) -> UInt64 {
        checkField(field.offset, 8, count)
        return UInt64(littleEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt64.self))
    }
}

extension UnsafeMutableRawBufferPointer {
    @inlinable @inline(__always)
    package subscript(field: U8) -> UInt8 {
        get {
            checkField(field.offset, 1, count)
            return loadUnaligned(fromByteOffset: field.offset, as: UInt8.self)
        }
        nonmutating set {
            checkField(field.offset, 1, count)
            storeBytes(of: newValue, toByteOffset: field.offset, as: UInt8.self)
        }
    }

    @inlinable @inline(__always)
    package subscript(field: BE16) -> UInt16 {
        get {
            checkField(field.offset, 2, count)
            return UInt16(bigEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt16.self))
        }
        nonmutating set {
            checkField(field.offset, 2, count)
            storeBytes(of: newValue.bigEndian, toByteOffset: field.offset, as: UInt16.self)
        }
    }

    @inlinable @inline(__always)
    package subscript(field: BE32) -> UInt32 {
        get {
            checkField(field.offset, 4, count)
            return UInt32(bigEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt32.self))
        }
        nonmutating set {
            checkField(field.offset, 4, count)
            storeBytes(of: newValue.bigEndian, toByteOffset: field.offset, as: UInt32.self)
        }
    }

    @inlinable @inline(__always)
    package subscript(field: BE64) -> UInt64 {
        get {
            checkField(field.offset, 8, count)
            return UInt64(bigEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt64.self))
        }
        nonmutating set {
            checkField(field.offset, 8, count)
            storeBytes(of: newValue.bigEndian, toByteOffset: field.offset, as: UInt64.self)
        }
    }

    @inlinable @inline(__always)
    package subscript(field: LE16) -> UInt16 {
        get {
            checkField(field.offset, 2, count)
            return UInt16(littleEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt16.self))
        }
        nonmutating set {
            checkField(field.offset, 2, count)
            storeBytes(of: newValue.littleEndian, toByteOffset: field.offset, as: UInt16.self)
        }
    }

    @inlinable @inline(__always)
    package subscript(field: LE32) -> UInt32 {
        get {
            checkField(field.offset, 4, count)
            return UInt32(littleEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt32.self))
        }
        nonmutating set {
            checkField(field.offset, 4, count)
            storeBytes(of: newValue.littleEndian, toByteOffset: field.offset, as: UInt32.self)
        }
    }

    @inlinable @inline(__always)
    package subscript(field: LE64) -> UInt64 {
        get {
            checkField(field.offset, 8, count)
            return UInt64(littleEndian: loadUnaligned(fromByteOffset: field.offset, as: UInt64.self))
        }
        nonmutating set {
            checkField(field.offset, 8, count)
            storeBytes(of: newValue.littleEndian, toByteOffset: field.offset, as: UInt64.self)
        }
    }
}

// Field access for spans; their own loads check the bounds.

extension RawSpan {
    @inlinable @inline(__always)
    package subscript(field: U8) -> UInt8 {
        unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt8.self)
    }

    @inlinable @inline(__always)
    package subscript(field: BE16) -> UInt16 {
        UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt16.self))
    }

    @inlinable @inline(__always)
    package subscript(field: BE32) -> UInt32 {
        UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt32.self))
    }

    @inlinable @inline(__always)
    package subscript(field: BE64) -> UInt64 {
        UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt64.self))
    }

    @inlinable @inline(__always)
    package subscript(field: LE16) -> UInt16 {
        UInt16(littleEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt16.self))
    }

    @inlinable @inline(__always)
    package subscript(field: LE32) -> UInt32 {
        UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt32.self))
    }

    @inlinable @inline(__always)
    package subscript(field: LE64) -> UInt64 {
        UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt64.self))
    }
}

extension MutableRawSpan {
    @inlinable @inline(__always)
    package subscript(field: U8) -> UInt8 {
        get { unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt8.self) }
        set { storeBytes(of: newValue, toByteOffset: field.offset, as: UInt8.self) }
    }

    @inlinable @inline(__always)
    package subscript(field: BE16) -> UInt16 {
        get { UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt16.self)) }
        set { storeBytes(of: newValue.bigEndian, toByteOffset: field.offset, as: UInt16.self) }
    }

    @inlinable @inline(__always)
    package subscript(field: BE32) -> UInt32 {
        get { UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt32.self)) }
        set { storeBytes(of: newValue.bigEndian, toByteOffset: field.offset, as: UInt32.self) }
    }

    @inlinable @inline(__always)
    package subscript(field: BE64) -> UInt64 {
        get { UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt64.self)) }
        set { storeBytes(of: newValue.bigEndian, toByteOffset: field.offset, as: UInt64.self) }
    }

    @inlinable @inline(__always)
    package subscript(field: LE16) -> UInt16 {
        get { UInt16(littleEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt16.self)) }
        set { storeBytes(of: newValue.littleEndian, toByteOffset: field.offset, as: UInt16.self) }
    }

    @inlinable @inline(__always)
    package subscript(field: LE32) -> UInt32 {
        get { UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt32.self)) }
        set { storeBytes(of: newValue.littleEndian, toByteOffset: field.offset, as: UInt32.self) }
    }

    @inlinable @inline(__always)
    package subscript(field: LE64) -> UInt64 {
        get { UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: field.offset, as: UInt64.self)) }
        set { storeBytes(of: newValue.littleEndian, toByteOffset: field.offset, as: UInt64.self) }
    }
}

// Field types: where a number lies in a structure, how wide it is and in which byte order.
//
//     enum Field { static let sector = BE64(offset: 0) }
//     let sector = bytes[Field.sector]
//
// A subscript is one bounds-checked load or store, aligned or not. An index outside of the bytes is a bug of the decoder,
// which checks the length first, and traps.
//
// Everything here is inlinable: package access alone does not let the optimizer see across modules, and then each
// constant field costs a one-time-initialisation check and each access a call (an acknowledgement encoded and decoded:
// 27 ns against 4 ns, release build).

/// One byte at `offset` bytes.
@usableFromInline
package struct U8: Hashable, Sendable {
    @usableFromInline package let offset: Int
    /// Size in bytes.
    package static let byteCount = 1

    @inlinable
    package init(offset: Int) {
        self.offset = offset
    }
}

/// A big-endian 16-bit number at `offset` bytes.
@usableFromInline
package struct BE16: Hashable, Sendable {
    @usableFromInline package let offset: Int
    /// Size in bytes.
    package static let byteCount = 2

    @inlinable
    package init(offset: Int) {
        self.offset = offset
    }
}

/// A big-endian 32-bit number at `offset` bytes.
@usableFromInline
package struct BE32: Hashable, Sendable {
    @usableFromInline package let offset: Int
    /// Size in bytes.
    package static let byteCount = 4

    @inlinable
    package init(offset: Int) {
        self.offset = offset
    }
}

/// A big-endian 64-bit number at `offset` bytes.
@usableFromInline
package struct BE64: Hashable, Sendable {
    @usableFromInline package let offset: Int
    /// Size in bytes.
    package static let byteCount = 8

    @inlinable
    package init(offset: Int) {
        self.offset = offset
    }
}

/// A little-endian 16-bit number at `offset` bytes.
@usableFromInline
package struct LE16: Hashable, Sendable {
    @usableFromInline package let offset: Int
    /// Size in bytes.
    package static let byteCount = 2

    @inlinable
    package init(offset: Int) {
        self.offset = offset
    }
}

/// A little-endian 32-bit number at `offset` bytes.
@usableFromInline
package struct LE32: Hashable, Sendable {
    @usableFromInline package let offset: Int
    /// Size in bytes.
    package static let byteCount = 4

    @inlinable
    package init(offset: Int) {
        self.offset = offset
    }
}

/// A little-endian 64-bit number at `offset` bytes.
@usableFromInline
package struct LE64: Hashable, Sendable {
    @usableFromInline package let offset: Int
    /// Size in bytes.
    package static let byteCount = 8

    @inlinable
    package init(offset: Int) {
        self.offset = offset
    }
}

/// A run of `count` bytes at `offset`: reserved space, a cookie, an array.
@usableFromInline
package struct ByteField: Hashable, Sendable {
    @usableFromInline package let offset: Int
    @usableFromInline package let count: Int

    @inlinable
    package init(offset: Int, count: Int) {
        self.offset = offset
        self.count = count
    }
}

/// A text of at most `count - 1` bytes, filled up to `count` bytes with NUL.
package struct TextField: Hashable, Sendable {
    package let offset: Int
    package let count: Int
    /// The name for errors.
    package let name: String

    package init(offset: Int, count: Int, name: String) {
        self.offset = offset
        self.count = count
        self.name = name
    }
}

extension UnsafeRawBufferPointer {
    /// The bytes of the field, not copied; they live as long as this buffer.
    @inlinable
    package subscript(field: ByteField) -> UnsafeRawBufferPointer {
        part(offset: field.offset, count: field.count)
    }

    /// `count` bytes from `offset` on, not copied. Outside of the buffer: traps.
    @inlinable @inline(__always)
    package func part(offset: Int, count: Int) -> UnsafeRawBufferPointer {
        precondition(offset >= 0 && count >= 0 && offset <= self.count &- count, "part lies outside of the bytes")
        return UnsafeRawBufferPointer(rebasing: self[offset..<offset + count])
    }

    /// The text of the field up to its first NUL. Printable ASCII only: these texts are names of algorithms and hosts.
    ///
    /// Throws ``LayoutError/badText(field:reason:)`` when the NUL is missing or a byte is no printable ASCII.
    package func text(_ field: TextField) throws(LayoutError) -> String {
        let all = part(offset: field.offset, count: field.count)
        guard let end = all.firstIndex(of: 0) else {
            throw .badText(field: field.name, reason: "no NUL within \(field.count) bytes")
        }
        for index in 0..<end where all[index] < 0x20 || all[index] > 0x7e {
            throw .badText(field: field.name, reason: "byte \(hexadecimal(UInt64(all[index]))) at \(index)")
        }
        return String(decoding: all[..<end], as: UTF8.self)
    }
}

extension UnsafeMutableRawBufferPointer {
    /// `count` bytes from `offset` on, not copied. Outside of the buffer: traps.
    @inlinable @inline(__always)
    package func part(offset: Int, count: Int) -> UnsafeMutableRawBufferPointer {
        precondition(offset >= 0 && count >= 0 && offset <= self.count &- count, "part lies outside of the bytes")
        return UnsafeMutableRawBufferPointer(rebasing: self[offset..<offset + count])
    }

    /// Everything from `offset` on, not copied.
    @inlinable @inline(__always)
    package func dropped(_ offset: Int) -> UnsafeMutableRawBufferPointer {
        part(offset: offset, count: count - offset)
    }

    /// Writes zeroes over the first `count` bytes.
    @inlinable @inline(__always)
    package func clear(count: Int) {
        _ = part(offset: 0, count: count).initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// Writes `text` and fills the field with NUL. A text that leaves no room for a NUL is a bug of the caller.
    package func setText(_ field: TextField, _ text: String) {
        let utf8 = text.utf8
        precondition(utf8.count < field.count, "\(field.name) does not fit \(field.count) bytes: \(text)")
        let target = part(offset: field.offset, count: field.count)
        target.clear(count: field.count)
        target.copyBytes(from: utf8)
    }
}

extension UnsafeRawBufferPointer {
    /// Everything from `offset` on, not copied.
    @inlinable @inline(__always)
    package func dropped(_ offset: Int) -> UnsafeRawBufferPointer {
        part(offset: offset, count: count - offset)
    }

    /// Whether every byte is 0.
    @inlinable
    package var isAllZero: Bool {
        var index = 0
        while index &+ 8 <= count {
            if loadUnaligned(fromByteOffset: index, as: UInt64.self) != 0 { return false }
            index &+= 8
        }
        while index < count {
            if self[index] != 0 { return false }
            index &+= 1
        }
        return true
    }
}

package import LayoutKit

/// A reply without structure; the data of a successful read follow. Spec: NBD protocol, "Simple reply message".
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 4 | magic |
/// | 4 | 4 | error, 0 for success |
/// | 8 | 8 | handle of the request |
package struct NBDSimpleReply: FixedLayout, Equatable, Sendable {
    package static let byteCount = 16
    package static let magic: UInt32 = 0x6744_6698

    private enum Field {
        static let magic = BE32(offset: 0)
        static let error = BE32(offset: 4)
        static let handle = BE64(offset: 8)
    }

    /// nil for success.
    package var error: NBDErrorCode?
    package var handle: UInt64

    package init(error: NBDErrorCode?, handle: UInt64) {
        self.error = error
        self.handle = handle
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.byteCount, of: bytes)
        guard bytes[Field.magic] == Self.magic else {
            throw .badMagic(found: UInt64(bytes[Field.magic]), expected: UInt64(Self.magic))
        }
        let raw = bytes[Field.error]
        if raw == 0 {
            error = nil
        } else if let code = NBDErrorCode(rawValue: raw) {
            error = code
        } else {
            throw .badValue(field: "error", found: UInt64(raw), expected: "a known one")
        }
        handle = bytes[Field.handle]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.magic] = Self.magic
        out[Field.error] = error?.rawValue ?? 0
        out[Field.handle] = handle
    }
}

/// Kinds of chunk in a structured reply. Spec: NBD protocol, "Structured reply types".
package enum NBDChunkType: UInt16, Sendable, CaseIterable {
    case none = 0
    case offsetData = 1
    case offsetHole = 2
    case blockStatus = 5
    case error = 0x8001
    case errorOffset = 0x8002
}

/// The head of one chunk of a structured reply. Spec: NBD protocol, "Structured reply chunk message".
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 4 | magic |
/// | 4 | 2 | flags, bit 0: last chunk of this reply |
/// | 6 | 2 | type |
/// | 8 | 8 | handle of the request |
/// | 16 | 4 | length of the payload |
package struct NBDChunkHeader: FixedLayout, Equatable, Sendable {
    package static let byteCount = 20
    package static let magic: UInt32 = 0x668e_33ef
    private static let doneFlag: UInt16 = 1

    private enum Field {
        static let magic = BE32(offset: 0)
        static let flags = BE16(offset: 4)
        static let type = BE16(offset: 6)
        static let handle = BE64(offset: 8)
        static let length = BE32(offset: 16)
    }

    package var isLast: Bool
    package var type: NBDChunkType
    package var handle: UInt64
    package var payloadByteCount: Int

    package init(isLast: Bool, type: NBDChunkType, handle: UInt64, payloadByteCount: Int) {
        self.isLast = isLast
        self.type = type
        self.handle = handle
        self.payloadByteCount = payloadByteCount
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.byteCount, of: bytes)
        guard bytes[Field.magic] == Self.magic else {
            throw .badMagic(found: UInt64(bytes[Field.magic]), expected: UInt64(Self.magic))
        }
        guard let type = NBDChunkType(rawValue: bytes[Field.type]) else {
            throw .badValue(field: "chunk type", found: UInt64(bytes[Field.type]), expected: "a known one")
        }
        self.type = type
        isLast = bytes[Field.flags] & Self.doneFlag != 0
        handle = bytes[Field.handle]
        payloadByteCount = Int(bytes[Field.length])
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.magic] = Self.magic
        out[Field.flags] = isLast ? Self.doneFlag : 0
        out[Field.type] = type.rawValue
        out[Field.handle] = handle
        out[Field.length] = UInt32(payloadByteCount)
    }
}

/// The fixed part in front of the data of an `NBD_REPLY_TYPE_OFFSET_DATA` chunk: header and offset, 28 bytes.
package struct NBDDataChunk: Equatable, Sendable {
    package static let byteCount = NBDChunkHeader.byteCount + 8

    package var isLast: Bool
    package var handle: UInt64
    /// Where the data lie in the export.
    package var offset: UInt64
    /// How many bytes of data follow.
    package var dataByteCount: Int

    package init(isLast: Bool, handle: UInt64, offset: UInt64, dataByteCount: Int) {
        self.isLast = isLast
        self.handle = handle
        self.offset = offset
        self.dataByteCount = dataByteCount
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        NBDChunkHeader(isLast: isLast, type: .offsetData, handle: handle, payloadByteCount: 8 + dataByteCount)
            .encode(into: out)
        out[BE64(offset: NBDChunkHeader.byteCount)] = offset
    }
}

/// A whole `NBD_REPLY_TYPE_OFFSET_HOLE` chunk: this range reads as zeroes.
package struct NBDHoleChunk: Equatable, Sendable {
    package static let byteCount = NBDChunkHeader.byteCount + 12

    package var isLast: Bool
    package var handle: UInt64
    package var offset: UInt64
    package var holeByteCount: UInt32

    package init(isLast: Bool, handle: UInt64, offset: UInt64, holeByteCount: UInt32) {
        self.isLast = isLast
        self.handle = handle
        self.offset = offset
        self.holeByteCount = holeByteCount
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        NBDChunkHeader(isLast: isLast, type: .offsetHole, handle: handle, payloadByteCount: 12).encode(into: out)
        out[BE64(offset: NBDChunkHeader.byteCount)] = offset
        out[BE32(offset: NBDChunkHeader.byteCount + 8)] = holeByteCount
    }
}

/// A whole error chunk, `NBD_REPLY_TYPE_ERROR` or, with a place, `NBD_REPLY_TYPE_ERROR_OFFSET`.
///
/// After the header: error u32, length of the text u16, the text, and the offset u64 of the second kind.
package struct NBDErrorChunk: Equatable, Sendable {
    package var isLast: Bool
    package var handle: UInt64
    package var error: NBDErrorCode
    /// For a person; may be empty, at most 4096 bytes.
    package var text: String
    /// Where in the export the error is, if that is known.
    package var offset: UInt64?

    package init(isLast: Bool, handle: UInt64, error: NBDErrorCode, text: String, offset: UInt64? = nil) {
        precondition(text.utf8.count <= NBDString.byteCountMax, "error text too long")
        self.isLast = isLast
        self.handle = handle
        self.error = error
        self.text = text
        self.offset = offset
    }

    private var payloadByteCount: Int { 6 + text.utf8.count + (offset == nil ? 0 : 8) }

    package var byteCount: Int { NBDChunkHeader.byteCount + payloadByteCount }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        let type: NBDChunkType = offset == nil ? .error : .errorOffset
        NBDChunkHeader(isLast: isLast, type: type, handle: handle, payloadByteCount: payloadByteCount)
            .encode(into: out)
        out[BE32(offset: NBDChunkHeader.byteCount)] = error.rawValue
        out[BE16(offset: NBDChunkHeader.byteCount + 4)] = UInt16(text.utf8.count)
        out.setText(text, at: NBDChunkHeader.byteCount + 6)
        if let offset {
            out[BE64(offset: NBDChunkHeader.byteCount + 6 + text.utf8.count)] = offset
        }
    }
}

/// What is known of one range in the context `base:allocation`.
/// Spec: NBD protocol, "base:allocation metadata context".
package struct NBDExtent: Equatable, Sendable {
    /// Status of an extent; no bit set is always a correct answer.
    package struct Status: OptionSet, Sendable {
        package var rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Not allocated: writing may run out of space.
        package static let hole = Status(rawValue: 1 << 0)
        /// Reads as zeroes.
        package static let zero = Status(rawValue: 1 << 1)
    }

    package static let byteCount = 8

    /// Length in bytes, not 0.
    package var length: UInt32
    package var status: Status

    package init(length: UInt32, status: Status) {
        self.length = length
        self.status = status
    }
}

/// A whole `NBD_REPLY_TYPE_BLOCK_STATUS` chunk: context id u32, then (length u32, status u32) for each extent.
package struct NBDBlockStatusChunk: Equatable, Sendable {
    package var isLast: Bool
    package var handle: UInt64
    package var contextID: UInt32
    package var extents: [NBDExtent]

    package init(isLast: Bool, handle: UInt64, contextID: UInt32, extents: [NBDExtent]) {
        self.isLast = isLast
        self.handle = handle
        self.contextID = contextID
        self.extents = extents
    }

    private var payloadByteCount: Int { 4 + NBDExtent.byteCount * extents.count }

    package var byteCount: Int { NBDChunkHeader.byteCount + payloadByteCount }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        NBDChunkHeader(isLast: isLast, type: .blockStatus, handle: handle, payloadByteCount: payloadByteCount)
            .encode(into: out)
        out[BE32(offset: NBDChunkHeader.byteCount)] = contextID
        var position = NBDChunkHeader.byteCount + 4
        for extent in extents {
            out[BE32(offset: position)] = extent.length
            out[BE32(offset: position + 4)] = extent.status.rawValue
            position += NBDExtent.byteCount
        }
    }
}

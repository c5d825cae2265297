package import LayoutKit

/// The data of COPY_FILE_RANGE and COPY_FILE_RANGE_64; the head names the source. Spec: fuse 4.
package struct FUSECopyRangeRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 56

    private enum Field {
        static let sourceHandle = LE64(offset: 0)
        static let sourceOffset = LE64(offset: 8)
        static let targetNode = LE64(offset: 16)
        static let targetHandle = LE64(offset: 24)
        static let targetOffset = LE64(offset: 32)
        static let length = LE64(offset: 40)
        static let flags = LE64(offset: 48)
    }

    package var sourceHandle: UInt64
    package var sourceOffset: UInt64
    package var targetNode: UInt64
    package var targetHandle: UInt64
    package var targetOffset: UInt64
    package var length: UInt64
    package var flags: UInt64 = 0

    package init(
        sourceHandle: UInt64, sourceOffset: UInt64, targetNode: UInt64, targetHandle: UInt64, targetOffset: UInt64,
        length: UInt64
    ) {
        self.sourceHandle = sourceHandle
        self.sourceOffset = sourceOffset
        self.targetNode = targetNode
        self.targetHandle = targetHandle
        self.targetOffset = targetOffset
        self.length = length
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        sourceHandle = bytes[Field.sourceHandle]
        sourceOffset = bytes[Field.sourceOffset]
        targetNode = bytes[Field.targetNode]
        targetHandle = bytes[Field.targetHandle]
        targetOffset = bytes[Field.targetOffset]
        length = bytes[Field.length]
        flags = bytes[Field.flags]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.sourceHandle] = sourceHandle
        out[Field.sourceOffset] = sourceOffset
        out[Field.targetNode] = targetNode
        out[Field.targetHandle] = targetHandle
        out[Field.targetOffset] = targetOffset
        out[Field.length] = length
        out[Field.flags] = flags
    }
}

/// The reply to COPY_FILE_RANGE_64: bytes copied. Spec: fuse 4.
package typealias FUSECopyRangeReply = FUSESeekReply

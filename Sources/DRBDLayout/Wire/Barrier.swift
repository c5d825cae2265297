package import LayoutKit

/// P_BARRIER: ends an epoch of writes. Spec: drbd-wire 13.
///
///     0: u32 barrier, opaque   4: u32 pad
package struct Barrier: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    private enum Field {
        static let number = LE32(offset: 0), pad = BE32(offset: 4)
    }

    /// A cookie, echoed byte for byte. The order is fixed, so that counting up gives the bytes of an x86 kernel
    /// (`01 00 00 00` for 1), but a peer's number must not be computed with.
    package var number: UInt32

    package init(number: UInt32) {
        self.number = number
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        number = bytes[Field.number]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.number] = number
        out[Field.pad] = 0
    }
}

/// P_BARRIER_ACK: all writes of an epoch are on stable storage. Spec: drbd-wire 13.
///
///     0: u32 barrier, echoed   4: u32 set_size
package struct BarrierAck: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    private enum Field {
        static let number = LE32(offset: 0), writeCount = BE32(offset: 4)
    }

    /// As it came in ``Barrier/number``.
    package var number: UInt32
    /// Writes of the epoch without those that were superseded or sent back. Spec: drbd-wire 14.3.
    package var writeCount: UInt32

    package init(number: UInt32, writeCount: UInt32) {
        self.number = number
        self.writeCount = writeCount
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        number = bytes[Field.number]
        writeCount = bytes[Field.writeCount]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.number] = number
        out[Field.writeCount] = writeCount
    }
}

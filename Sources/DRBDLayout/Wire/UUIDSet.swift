package import LayoutKit

/// P_UUIDS: the data generations of a volume. Spec: drbd-wire 6.4.
///
///     0: u64 current   8: u64 bitmap   16, 24: u64 history   32: u64 set bits   40: u64 flags
package struct UUIDSet: FixedLayout, Equatable, Sendable {
    package struct Flags: OptionSet, Hashable, Sendable {
        package let rawValue: UInt64

        package init(rawValue: UInt64) {
            self.rawValue = rawValue
        }

        package static let discardMyData = Flags(rawValue: 1)
        /// The sender was Primary when it died.
        package static let crashedPrimary = Flags(rawValue: 2)
        /// The disk, announced as Negotiating, is Inconsistent.
        package static let inconsistent = Flags(rawValue: 4)
        /// A new UUID with a bitmap that counts as empty.
        package static let skipInitialSync = Flags(rawValue: 8)
    }

    package static let byteCount = 48

    private enum Field {
        static let current = BE64(offset: 0), bitmap = BE64(offset: 8), history0 = BE64(offset: 16)
        static let history1 = BE64(offset: 24), setBits = BE64(offset: 32), flags = BE64(offset: 40)
    }

    /// Bit 0 tells that the holder is or was Primary.
    package var current: UInt64
    /// 0: none.
    package var bitmap: UInt64
    package var history0: UInt64
    package var history1: UInt64
    /// Bits that are set in the sender's bitmap.
    package var setBits: UInt64
    package var flags: Flags

    package init(
        current: UInt64, bitmap: UInt64, history0: UInt64, history1: UInt64, setBits: UInt64, flags: Flags = []
    ) {
        self.current = current
        self.bitmap = bitmap
        self.history0 = history0
        self.history1 = history1
        self.setBits = setBits
        self.flags = flags
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        current = bytes[Field.current]
        bitmap = bytes[Field.bitmap]
        history0 = bytes[Field.history0]
        history1 = bytes[Field.history1]
        setBits = bytes[Field.setBits]
        flags = Flags(rawValue: bytes[Field.flags])
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.current] = current
        out[Field.bitmap] = bitmap
        out[Field.history0] = history0
        out[Field.history1] = history1
        out[Field.setBits] = setBits
        out[Field.flags] = flags.rawValue
    }
}

/// P_SYNC_UUID: the generation that the target of a resync takes over. Spec: drbd-wire 10.1.
package struct SyncUUID: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    package var uuid: UInt64

    package init(uuid: UInt64) {
        self.uuid = uuid
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        uuid = bytes[BE64(offset: 0)]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[BE64(offset: 0)] = uuid
    }
}

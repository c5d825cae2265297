package import LayoutKit

/// P_SIZES: how large the volume's disk and device are. Spec: drbd-wire 6.3.
///
///     0: u64 d_size   8: u64 u_size   16: u64 c_size   24: u32 max_bio_size   28: u16 queue_order_type
///     30: u16 dds_flags   32: queue limits, 24 bytes, exactly when FF_WSAME is agreed
///
/// Sizes are in sectors.
package struct Sizes: Equatable, Sendable {
    package struct Flags: OptionSet, Hashable, Sendable {
        package let rawValue: UInt16

        package init(rawValue: UInt16) {
            self.rawValue = rawValue
        }

        /// Resize: take for granted that the peer has the space.
        package static let forced = Flags(rawValue: 1)
        /// Do not resync the grown part; from version 93 on.
        package static let noResync = Flags(rawValue: 2)
    }

    private enum Field {
        static let disk = BE64(offset: 0), user = BE64(offset: 8), current = BE64(offset: 16)
        static let requestMax = BE32(offset: 24), queueOrder = BE16(offset: 28), flags = BE16(offset: 30)
        static let limits = 32
    }

    /// Usable sectors of the sender's backing disk; 0 is diskless.
    package var diskSectors: UInt64
    /// Configured size; 0 is none.
    package var userSectors: UInt64
    /// Size of the sender's device; 0 asks for an answer.
    package var currentSectors: UInt64
    /// Largest request in bytes that the sender's disk takes.
    package var requestByteCountMax: UInt32
    package var flags: Flags
    package var queueLimits: QueueLimits?

    package init(
        diskSectors: UInt64, userSectors: UInt64, currentSectors: UInt64, requestByteCountMax: UInt32,
        flags: Flags = [], queueLimits: QueueLimits? = nil
    ) {
        self.diskSectors = diskSectors
        self.userSectors = userSectors
        self.currentSectors = currentSectors
        self.requestByteCountMax = requestByteCountMax
        self.flags = flags
        self.queueLimits = queueLimits
    }

    /// Size of the payload.
    package static func byteCount(features: FeatureFlags) -> Int {
        features.contains(.writeSame) ? Field.limits + QueueLimits.byteCount : Field.limits
    }

    package init(decoding bytes: UnsafeRawBufferPointer, features: FeatureFlags) throws(LayoutError) {
        try LayoutError.require(Self.byteCount(features: features), of: bytes)
        diskSectors = bytes[Field.disk]
        userSectors = bytes[Field.user]
        currentSectors = bytes[Field.current]
        requestByteCountMax = bytes[Field.requestMax]
        flags = Flags(rawValue: bytes[Field.flags])
        queueLimits =
            features.contains(.writeSame) ? try QueueLimits(decoding: bytes.dropped(Field.limits)) : nil
    }

    /// With FF_WSAME and no ``queueLimits``, limits that promise nothing are sent.
    package func encode(into out: UnsafeMutableRawBufferPointer, features: FeatureFlags) {
        out[Field.disk] = diskSectors
        out[Field.user] = userSectors
        out[Field.current] = currentSectors
        out[Field.requestMax] = requestByteCountMax
        out[Field.queueOrder] = 0
        out[Field.flags] = flags.rawValue
        guard features.contains(.writeSame) else { return }
        (queueLimits ?? QueueLimits()).encode(into: out.dropped(Field.limits))
    }
}

/// Properties of the sender's backing disk, the last 24 bytes of a long P_SIZES. Spec: drbd-wire 6.3.
package struct QueueLimits: FixedLayout, Equatable, Sendable {
    package static let byteCount = 24

    private enum Field {
        static let physical = BE32(offset: 0), logical = BE32(offset: 4), alignment = BE32(offset: 8)
        static let ioMin = BE32(offset: 12), ioOptimal = BE32(offset: 16), discard = U8(offset: 20)
        static let discardZeroes = U8(offset: 21), writeSame = U8(offset: 22), pad = U8(offset: 23)
    }

    /// Bytes, as all numbers here.
    package var physicalBlockSize: UInt32
    package var logicalBlockSize: UInt32
    package var alignmentOffset: UInt32
    package var ioMin: UInt32
    package var ioOptimal: UInt32
    package var discardEnabled: Bool
    package var discardZeroesData: Bool
    /// False declines P_WSAME.
    package var writeSameCapable: Bool

    package init(
        physicalBlockSize: UInt32 = 512, logicalBlockSize: UInt32 = 512, alignmentOffset: UInt32 = 0,
        ioMin: UInt32 = 512, ioOptimal: UInt32 = 4096, discardEnabled: Bool = false, discardZeroesData: Bool = false,
        writeSameCapable: Bool = false
    ) {
        self.physicalBlockSize = physicalBlockSize
        self.logicalBlockSize = logicalBlockSize
        self.alignmentOffset = alignmentOffset
        self.ioMin = ioMin
        self.ioOptimal = ioOptimal
        self.discardEnabled = discardEnabled
        self.discardZeroesData = discardZeroesData
        self.writeSameCapable = writeSameCapable
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        physicalBlockSize = bytes[Field.physical]
        logicalBlockSize = bytes[Field.logical]
        alignmentOffset = bytes[Field.alignment]
        ioMin = bytes[Field.ioMin]
        ioOptimal = bytes[Field.ioOptimal]
        discardEnabled = bytes[Field.discard] != 0
        discardZeroesData = bytes[Field.discardZeroes] != 0
        writeSameCapable = bytes[Field.writeSame] != 0
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.physical] = physicalBlockSize
        out[Field.logical] = logicalBlockSize
        out[Field.alignment] = alignmentOffset
        out[Field.ioMin] = ioMin
        out[Field.ioOptimal] = ioOptimal
        out[Field.discard] = discardEnabled ? 1 : 0
        out[Field.discardZeroes] = discardZeroesData ? 1 : 0
        out[Field.writeSame] = writeSameCapable ? 1 : 0
        out[Field.pad] = 0
    }
}

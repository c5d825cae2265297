/// Optional parts of the protocol that both peers announced. Spec: drbd-wire 4.1.
@usableFromInline
package struct FeatureFlags: OptionSet, Hashable, Sendable {
    @usableFromInline package let rawValue: UInt32

    @inlinable
    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// P_TRIM. Kernel peers send it even when it is not agreed.
    @inlinable package static var trim: FeatureFlags { FeatureFlags(rawValue: 0x1) }
    /// P_RS_THIN_REQ and P_RS_DEALLOCATED.
    @inlinable package static var thinResync: FeatureFlags { FeatureFlags(rawValue: 0x2) }
    /// Queue limits in P_SIZES, discards up to 128 MiB, UUID rule 41, P_WSAME.
    @inlinable package static var writeSame: FeatureFlags { FeatureFlags(rawValue: 0x4) }
    /// P_ZEROES, and P_TRIM means discard.
    @inlinable package static var writeZeroes: FeatureFlags { FeatureFlags(rawValue: 0x8) }
}

/// The agreed version and features of one connection, and what follows from them for the bytes.
/// Spec: drbd-wire 3, 4.
package struct WireDialect: Hashable, Sendable {
    /// Agreed protocol version ("apv"); 80 until agreed.
    package var version: Int
    package var features: FeatureFlags

    package init(version: Int, features: FeatureFlags) {
        self.version = version
        self.features = features
    }

    /// Before the features were exchanged.
    package static let beforeAgreement = WireDialect(version: 80, features: [])

    /// Size of every packet header of the connection.
    package var headerByteCount: Int { version >= 100 ? 16 : 8 }

    /// Largest request in bytes. Spec: drbd-wire 24.
    package var requestByteCountMax: Int {
        if version >= 100 { return 1 << 20 }
        return version >= 95 ? 128 << 10 : 32 << 10
    }

    /// Largest discard or write-zeroes in bytes. Spec: drbd-wire 24.
    package var discardByteCountMax: Int {
        features.contains(.writeSame) ? 128 << 20 : 4 << 20
    }

    /// Largest payload of a plain or compressed bitmap packet.
    package var bitmapPayloadByteCountMax: Int {
        WireConstants.bitmapPacketByteCountMax - headerByteCount
    }
}

package import LayoutKit

/// P_CONNECTION_FEATURES: the first packet of both on the data socket, in header 80. Spec: drbd-wire 4.
///
///     0: u32 protocol_min   4: u32 feature_flags   8: u32 protocol_max   12: u32 pad   16: 7 x u64 reserved
package struct ConnectionFeatures: FixedLayout, Equatable, Sendable {
    package static let byteCount = 72

    private enum Field {
        static let versionMin = BE32(offset: 0), flags = BE32(offset: 4), versionMax = BE32(offset: 8)
    }

    package var versionMin: UInt32
    package var versionMax: UInt32
    package var flags: FeatureFlags

    package init(versionMin: UInt32, versionMax: UInt32, flags: FeatureFlags) {
        self.versionMin = versionMin
        self.versionMax = versionMax
        self.flags = flags
    }

    /// A highest version of 0 means "the lowest". Reserved fields are ignored.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        versionMin = bytes[Field.versionMin]
        let highest = bytes[Field.versionMax]
        versionMax = highest == 0 ? versionMin : highest
        flags = FeatureFlags(rawValue: bytes[Field.flags])
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out.clear(count: Self.byteCount)
        out[Field.versionMin] = versionMin
        out[Field.flags] = flags.rawValue
        out[Field.versionMax] = versionMax
    }

    /// What both speak; nil when no version is common. Spec: drbd-wire 4.
    package func agreement(with peer: ConnectionFeatures) -> WireDialect? {
        guard versionMax >= peer.versionMin, versionMin <= peer.versionMax else { return nil }
        return WireDialect(
            version: Int(min(versionMax, peer.versionMax)), features: flags.intersection(peer.flags))
    }
}

/// The CRC-32 of the cluster's keys and heartbeat blocks: polynomial 0xEDB88320 reflected, no final inversion.
/// Spec: o2cb 6.2, 11.4.
package enum ClusterCRC {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 != 0 ? (crc >> 1) ^ 0xedb8_8320 : crc >> 1 }
    }

    /// - Parameter seed: the initial value; 0 for blocks and lock domains.
    package static func compute(seed: UInt32 = 0, _ bytes: some Sequence<UInt8>) -> UInt32 {
        bytes.reduce(seed) { crc, byte in (crc >> 8) ^ table[Int((crc ^ UInt32(byte)) & 0xff)] }
    }
}

/// What selects a message's handler together with its type. Spec: o2cb 11.4.
package enum MessageKey {
    /// Messages of lock domains before they are joined ("flar").
    package static let joining: UInt32 = 0x666c_6172

    /// Messages of one lock domain.
    package static func domain(_ name: String) -> UInt32 { ClusterCRC.compute(name.utf8) }

    /// Negotiation about a heartbeat region whose writes hang.
    package static func heartbeat(region: String, number: UInt32 = 0) -> UInt32 {
        ClusterCRC.compute(seed: 32 + number, region.utf8)
    }
}

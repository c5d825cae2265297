/// Numbers of the protocol. Spec: drbd-wire 24.
package enum WireConstants {
    package static let sectorByteCount = 512
    /// Lowest and highest protocol version that a kernel 6.1 peer speaks.
    package static let versionMin = 86
    package static let versionMax = 101
    /// `block_id` of all resync and verify traffic. All ones, so its byte order does not matter.
    package static let resyncBlockID = UInt64.max
    /// Longest name of an algorithm with its NUL.
    package static let nameByteCountMax = 64
    /// Longest digest that a header may announce (SHA-512).
    package static let digestByteCountMax = 64
    /// A challenge that we send; a received one has this to ``challengeByteCountMax`` bytes. Spec: drbd-wire 5.
    package static let challengeByteCount = 64
    package static let challengeByteCountMax = 128
    /// Largest bitmap packet, header included.
    package static let bitmapPacketByteCountMax = 4096
}

/// Values with a meaning of their own among the data-generation UUIDs. Spec: drbd-disk-and-state 7.1.
package enum GenerationUUID {
    /// "Just created": metadata that never had data agreed.
    package static let justCreated: UInt64 = 4
    /// Set in the current UUID while its holder is Primary; left out of every comparison.
    package static let primaryBit: UInt64 = 1
    /// Added to the bitmap UUID when a resync starts. Spec: drbd-disk-and-state 7.3.
    package static let syncOffset: UInt64 = 0x0001_0000_0000_0000
}

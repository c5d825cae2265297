/// Flags of the superblock. Who sets them when: drbd-disk-and-state 4.
package struct MetadataFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The disk is better than Inconsistent.
    package static let consistent = MetadataFlags(rawValue: 0x001)
    /// The node is Primary, or carries the writes of a diskless one.
    package static let primaryIndicator = MetadataFlags(rawValue: 0x002)
    /// Connected to the peer.
    package static let connectedIndicator = MetadataFlags(rawValue: 0x004)
    /// All bits count as set; the bitmap is being rewritten.
    package static let fullSync = MetadataFlags(rawValue: 0x008)
    /// The disk is Consistent or UpToDate.
    package static let wasUpToDate = MetadataFlags(rawValue: 0x010)
    /// The peer's disk is Inconsistent or Outdated.
    package static let peerOutdated = MetadataFlags(rawValue: 0x020)
    /// The node died as Primary, and both disks were not UpToDate together since.
    package static let crashedPrimary = MetadataFlags(rawValue: 0x040)
    /// The activity log was applied and initialised again; set by tools, cleared with the first state after attach.
    package static let activityLogClean = MetadataFlags(rawValue: 0x080)
    /// The activity log is not kept or is being rewritten.
    package static let activityLogDisabled = MetadataFlags(rawValue: 0x100)
}

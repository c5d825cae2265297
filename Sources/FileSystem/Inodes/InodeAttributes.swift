package import EngineKit
package import OCFS2Layout

/// What stat(2) tells and the flags of an inode, decoded from its dinode.
package struct InodeAttributes: Equatable, Sendable {
    /// Type and permissions.
    package var mode: UInt16
    package var uid: UInt32
    package var gid: UInt32
    package var linkCount: UInt32
    /// Bytes.
    package var size: UInt64
    /// Clusters of the data tree.
    package var clusters: UInt32
    package var accessTime: WallTime
    package var changeTime: WallTime
    package var modificationTime: WallTime
    /// `i_flags`
    package var flags: DinodeFlags
    /// `i_attr`
    package var attributeFlags: DinodeAttributes
    package var dynamicFeatures: DynamicFeatures
    /// Devices only, else 0.
    package var deviceNumber: UInt64
}

package import EngineKit
internal import LayoutKit
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
    /// As in stat(2); devices only, else 0.
    package var deviceNumber: UInt64

    /// From a validated dinode.
    init(_ dinode: DinodeView, _ features: VolumeFeatures) {
        let bytes = dinode.bytes
        mode = bytes[Dinode.Field.mode]
        uid = bytes[Dinode.Field.user]
        gid = bytes[Dinode.Field.group]
        linkCount = dinode.linkCount(features)
        size = dinode.size
        clusters = dinode.clusters
        accessTime = WallTime(dinode.accessTime)
        changeTime = WallTime(dinode.changeTime)
        modificationTime = WallTime(dinode.modificationTime)
        flags = dinode.flags
        attributeFlags = dinode.attributes
        dynamicFeatures = dinode.dynamicFeatures
        let type = FileType(mode: mode)
        let isDevice = type == .characterDevice || type == .blockDevice
        deviceNumber = isDevice ? bytes[Dinode.Field.deviceNumber] : 0
    }

    func store(into dinode: DinodeView) {
        let bytes = dinode.bytes
        bytes[Dinode.Field.mode] = mode
        bytes[Dinode.Field.user] = uid
        bytes[Dinode.Field.group] = gid
        dinode.setLinkCount(linkCount)
        dinode.size = size
        dinode.clusters = clusters
        dinode.accessTime = DiskTime(accessTime)
        dinode.changeTime = DiskTime(changeTime)
        dinode.modificationTime = DiskTime(modificationTime)
        dinode.flags = flags
        dinode.attributes = attributeFlags
        dinode.dynamicFeatures = dynamicFeatures
        if deviceNumber != 0 { bytes[Dinode.Field.deviceNumber] = deviceNumber }
    }
}

extension WallTime {
    init(_ time: DiskTime) {
        self.init(seconds: time.seconds, nanoseconds: min(time.nanoseconds, 999_999_999))
    }
}

extension DiskTime {
    init(_ time: WallTime) {
        self.init(seconds: time.seconds, nanoseconds: time.nanoseconds)
    }
}

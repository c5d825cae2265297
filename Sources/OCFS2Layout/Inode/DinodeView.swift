public import LayoutKit

/// A dinode in memory, read and changed where it lies: the values that span several fields or need a type.
///
/// Does not own the bytes, which must outlive it and hold a whole block. For single numbers use the fields:
/// `view.bytes[Dinode.Field.size]`.
@usableFromInline
package struct DinodeView {
    @usableFromInline package let bytes: UnsafeMutableRawBufferPointer

    /// `bytes` is the block: 512 bytes or more. A shorter buffer is a bug of the caller.
    @inlinable
    package init(_ bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count >= 512, "a dinode fills a block")
        self.bytes = bytes
    }

    /// For reading only: the block belongs to somebody who must not see it change.
    @inlinable
    package init(reading bytes: UnsafeRawBufferPointer) {
        self.init(UnsafeMutableRawBufferPointer(mutating: bytes))
    }

    @inlinable package var block: UInt64 { bytes[Dinode.Field.block] }

    @inlinable package var flags: DinodeFlags {
        get { DinodeFlags(rawValue: bytes[Dinode.Field.flags]) }
        nonmutating set { bytes[Dinode.Field.flags] = newValue.rawValue }
    }

    @inlinable package var dynamicFeatures: DynamicFeatures {
        get { DynamicFeatures(rawValue: bytes[Dinode.Field.dynamicFeatures]) }
        nonmutating set { bytes[Dinode.Field.dynamicFeatures] = newValue.rawValue }
    }

    @inlinable package var attributes: DinodeAttributes {
        get { DinodeAttributes(rawValue: bytes[Dinode.Field.attributes]) }
        nonmutating set { bytes[Dinode.Field.attributes] = newValue.rawValue }
    }

    /// nil when the type bits are none of POSIX; a validated dinode always has a type.
    @inlinable package var fileType: FileType? { FileType(mode: bytes[Dinode.Field.mode]) }

    /// Bytes.
    @inlinable package var size: UInt64 {
        get { bytes[Dinode.Field.size] }
        nonmutating set { bytes[Dinode.Field.size] = newValue }
    }

    /// Clusters of the data tree.
    @inlinable package var clusters: UInt32 {
        get { bytes[Dinode.Field.clusters] }
        nonmutating set { bytes[Dinode.Field.clusters] = newValue }
    }

    /// Both halves; the high half counts only on volumes with indexed directories. Spec: ocfs2-disk-2 19.6.
    @inlinable
    package func linkCount(_ features: VolumeFeatures) -> UInt32 {
        let low = UInt32(bytes[Dinode.Field.linkCount])
        return features.hasIndexedDirectories ? UInt32(bytes[Dinode.Field.linkCountHigh]) << 16 | low : low
    }

    @inlinable
    package func setLinkCount(_ count: UInt32) {
        bytes[Dinode.Field.linkCount] = UInt16(truncatingIfNeeded: count)
        bytes[Dinode.Field.linkCountHigh] = UInt16(truncatingIfNeeded: count >> 16)
    }

    @inlinable package var accessTime: DiskTime {
        get {
            DiskTime(
                seconds: Int64(bitPattern: bytes[Dinode.Field.accessTime]),
                nanoseconds: bytes[Dinode.Field.accessTimeNanoseconds])
        }
        nonmutating set {
            bytes[Dinode.Field.accessTime] = UInt64(bitPattern: newValue.seconds)
            bytes[Dinode.Field.accessTimeNanoseconds] = newValue.nanoseconds
        }
    }

    @inlinable package var changeTime: DiskTime {
        get {
            DiskTime(
                seconds: Int64(bitPattern: bytes[Dinode.Field.changeTime]),
                nanoseconds: bytes[Dinode.Field.changeTimeNanoseconds])
        }
        nonmutating set {
            bytes[Dinode.Field.changeTime] = UInt64(bitPattern: newValue.seconds)
            bytes[Dinode.Field.changeTimeNanoseconds] = newValue.nanoseconds
        }
    }

    @inlinable package var modificationTime: DiskTime {
        get {
            DiskTime(
                seconds: Int64(bitPattern: bytes[Dinode.Field.modificationTime]),
                nanoseconds: bytes[Dinode.Field.modificationTimeNanoseconds])
        }
        nonmutating set {
            bytes[Dinode.Field.modificationTime] = UInt64(bitPattern: newValue.seconds)
            bytes[Dinode.Field.modificationTimeNanoseconds] = newValue.nanoseconds
        }
    }

    package var suballocation: Suballocation {
        get {
            Suballocation(
                slot: bytes[Dinode.Field.suballocSlot], bit: bytes[Dinode.Field.suballocBit],
                group: bytes[Dinode.Field.suballocGroup])
        }
        nonmutating set {
            bytes[Dinode.Field.suballocSlot] = newValue.slot
            bytes[Dinode.Field.suballocBit] = newValue.bit
            bytes[Dinode.Field.suballocGroup] = newValue.group
        }
    }

    @inlinable package var content: Dinode.Content {
        Dinode.content(of: UnsafeRawBufferPointer(bytes))
    }

    /// Bytes of the inline xattr area at the end of the block; 0 without one.
    @inlinable package var xattrInlineSize: Int {
        dynamicFeatures.contains(.inlineXattr) ? Int(bytes[Dinode.Field.xattrInlineSize]) : 0
    }

    /// The extent list of the data. Only when ``content`` is ``Dinode/Content/extentList``.
    @inlinable package var extentList: ExtentListView {
        ExtentListView(bytes, offset: Dinode.contentOffset)
    }

    /// The inline data, `id_count` bytes. Only when ``content`` is ``Dinode/Content/inlineData``, after validation.
    @inlinable package var inlineData: UnsafeMutableRawBufferPointer {
        bytes.part(offset: Dinode.inlineDataOffset, count: Int(bytes[Dinode.Field.inlineCount]))
    }
}

/// A time of a dinode.
@usableFromInline
package struct DiskTime: Hashable, Sendable, Comparable {
    /// Since 1970.
    @usableFromInline package var seconds: Int64
    /// 0 to 999,999,999.
    @usableFromInline package var nanoseconds: UInt32

    @inlinable
    package init(seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    @inlinable
    package static func < (left: DiskTime, right: DiskTime) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}

// Making one. Spec: ocfs2-disk 5, 7.
extension DinodeView {
    /// What a new dinode is made of; everything else starts as zero.
    package struct Origin {
        package var block: UInt64
        /// A new value for every incarnation of a block. Spec: ocfs2-disk-2 19.1.
        package var generation: UInt32
        package var suballocation: Suballocation
        package var mode: UInt16
        package var user: UInt32
        package var group: UInt32
        package var linkCount: UInt32
        package var flags: DinodeFlags
        /// All three times.
        package var time: DiskTime

        package init(
            block: UInt64, generation: UInt32, suballocation: Suballocation, mode: UInt16, user: UInt32 = 0,
            group: UInt32 = 0, linkCount: UInt32 = 1, flags: DinodeFlags = .valid, time: DiskTime
        ) {
            self.block = block
            self.generation = generation
            self.suballocation = suballocation
            self.mode = mode
            self.user = user
            self.group = group
            self.linkCount = linkCount
            self.flags = flags
            self.time = time
        }
    }

    /// Zeroes the block and writes a new dinode with an empty extent list. The check is written with the block.
    package func initialize(_ origin: Origin, _ parameters: VolumeParameters) {
        let geometry = parameters.geometry
        bytes.clear(count: geometry.blockSize)
        bytes[Dinode.Field.signature] = FixedSignature.dinode.rawValue
        bytes[Dinode.Field.generation] = origin.generation
        suballocation = origin.suballocation
        bytes[Dinode.Field.user] = origin.user
        bytes[Dinode.Field.group] = origin.group
        bytes[Dinode.Field.mode] = origin.mode
        setLinkCount(origin.linkCount)
        flags = origin.flags
        accessTime = origin.time
        changeTime = origin.time
        modificationTime = origin.time
        bytes[Dinode.Field.block] = origin.block
        bytes[Dinode.Field.volumeGeneration] = parameters.generation
        extentList.initialize(capacity: geometry.dinodeExtentCapacity)
    }

    /// Zeroes the content except an inline xattr area and makes it inline data of full capacity, which is returned.
    /// Spec: ocfs2-disk 7.1.
    @discardableResult
    package func beginInlineData(_ geometry: VolumeGeometry) -> UnsafeMutableRawBufferPointer {
        let capacity = geometry.inlineDataCapacity - xattrInlineSize
        bytes.part(offset: Dinode.contentOffset, count: capacity + 8).clear(count: capacity + 8)
        bytes[Dinode.Field.inlineCount] = UInt16(capacity)
        dynamicFeatures.insert(.inlineData)
        return inlineData
    }

    /// Zeroes the content except an inline xattr area and makes it an empty extent list. Spec: ocfs2-disk 7.1.
    package func beginExtentList(_ geometry: VolumeGeometry) {
        let count = geometry.blockSize - Dinode.contentOffset - xattrInlineSize
        bytes.part(offset: Dinode.contentOffset, count: count).clear(count: count)
        dynamicFeatures.remove(.inlineData)
        extentList.initialize(capacity: geometry.dinodeExtentCapacity(xattrInlineSize: xattrInlineSize))
    }
}

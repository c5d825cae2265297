package import LayoutKit

/// The superblock of metadata version 08: 4096 bytes, written whole, big-endian. Spec: drbd-disk-and-state 3.
///
///     offset  size  field
///     0       8     la_size_sect: last agreed device size in sectors, 0 = never agreed
///     8       8     current UUID
///     16      8     bitmap UUID, 0 = bitmap not in use
///     24      16    history UUIDs, youngest first
///     40      8     device UUID
///     48      8     reserved
///     56      4     flags
///     60      4     magic
///     64      4     md_size_sect
///     68      4     al_offset: sectors, signed, from the superblock
///     72      4     al_nr_extents: slots of the activity log when last written
///     76      4     bm_offset: sectors, signed, from the superblock
///     80      4     bytes for each bit, 4096
///     84      4     la_peer_max_bio_size: bytes
///     88      4     al_stripes      both 0: 1 stripe
///     92      4     al_stripe_size  of 8 blocks of 4 KiB
///     96            zero
package struct MetadataSuperblock: FixedLayout, Equatable, Sendable {
    package static let byteCount = 4096
    package static let bytesPerBit: UInt32 = 4096

    private enum Field {
        static let deviceSectors = BE64(offset: 0), current = BE64(offset: 8), bitmap = BE64(offset: 16)
        static let history0 = BE64(offset: 24), history1 = BE64(offset: 32), deviceUUID = BE64(offset: 40)
        static let flags = BE32(offset: 56), magic = BE32(offset: 60), metadataSectors = BE32(offset: 64)
        static let activityLogOffset = BE32(offset: 68), activityLogExtents = BE32(offset: 72)
        static let bitmapOffset = BE32(offset: 76), bytesPerBit = BE32(offset: 80)
        static let peerRequestMax = BE32(offset: 84), stripes = BE32(offset: 88), stripeSize = BE32(offset: 92)
    }

    package var deviceSectors: UInt64
    package var current: UInt64
    package var bitmap: UInt64
    package var history0: UInt64
    package var history1: UInt64
    package var deviceUUID: UInt64
    package var flags: MetadataFlags
    /// Whether the magic is that of a node that runs or ran; the tools' magic otherwise. See ``isClean``.
    package var hasUncleanMagic: Bool
    package var metadataSectors: UInt32
    package var activityLogOffset: Int32
    package var activityLogExtents: UInt32
    package var bitmapOffset: Int32
    /// As read. The check of ``MetadataGeometry`` refuses anything but ``MetadataSuperblock/bytesPerBit``.
    package var bytesPerBit: UInt32
    /// Largest request of the peer in bytes, as last announced; 0 in fresh metadata.
    package var peerRequestByteCountMax: UInt32
    package var activityLogStripes: UInt32
    /// Blocks of 4 KiB.
    package var activityLogStripeSize: UInt32

    /// Fresh metadata, as create-md writes it.
    package init(geometry: MetadataGeometry, deviceUUID: UInt64, activityLogExtents: UInt32 = 257) {
        deviceSectors = 0
        current = GenerationUUID.justCreated
        bitmap = 0
        history0 = 0
        history1 = 0
        self.deviceUUID = deviceUUID
        flags = .activityLogClean
        hasUncleanMagic = false
        metadataSectors = geometry.metadataSectors
        activityLogOffset = geometry.activityLogOffset
        self.activityLogExtents = activityLogExtents
        bitmapOffset = geometry.bitmapOffset
        bytesPerBit = Self.bytesPerBit
        peerRequestByteCountMax = 0
        activityLogStripes = geometry.striping.stripes
        activityLogStripeSize = geometry.striping.stripeBlocks
    }

    /// Throws ``LayoutError/badMagic(found:expected:)`` for every magic but the two of version 08; ask
    /// ``MetadataVersion/recognise(_:)`` what else it is.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        let magic = bytes[Field.magic]
        switch MetadataVersion(rawValue: magic) {
        case .version08: hasUncleanMagic = false
        case .version08Unclean: hasUncleanMagic = true
        case .version07, .version09, nil:
            throw .badMagic(found: UInt64(magic), expected: UInt64(MetadataVersion.version08.rawValue))
        }
        deviceSectors = bytes[Field.deviceSectors]
        current = bytes[Field.current]
        bitmap = bytes[Field.bitmap]
        history0 = bytes[Field.history0]
        history1 = bytes[Field.history1]
        deviceUUID = bytes[Field.deviceUUID]
        flags = MetadataFlags(rawValue: bytes[Field.flags])
        metadataSectors = bytes[Field.metadataSectors]
        activityLogOffset = Int32(bitPattern: bytes[Field.activityLogOffset])
        activityLogExtents = bytes[Field.activityLogExtents]
        bitmapOffset = Int32(bitPattern: bytes[Field.bitmapOffset])
        bytesPerBit = bytes[Field.bytesPerBit]
        peerRequestByteCountMax = bytes[Field.peerRequestMax]
        activityLogStripes = bytes[Field.stripes]
        activityLogStripeSize = bytes[Field.stripeSize]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out.clear(count: Self.byteCount)
        let magic = hasUncleanMagic ? MetadataVersion.version08Unclean : .version08
        out[Field.deviceSectors] = deviceSectors
        out[Field.current] = current
        out[Field.bitmap] = bitmap
        out[Field.history0] = history0
        out[Field.history1] = history1
        out[Field.deviceUUID] = deviceUUID
        out[Field.flags] = flags.rawValue
        out[Field.magic] = magic.rawValue
        out[Field.metadataSectors] = metadataSectors
        out[Field.activityLogOffset] = UInt32(bitPattern: activityLogOffset)
        out[Field.activityLogExtents] = activityLogExtents
        out[Field.bitmapOffset] = UInt32(bitPattern: bitmapOffset)
        out[Field.bytesPerBit] = bytesPerBit
        out[Field.peerRequestMax] = peerRequestByteCountMax
        out[Field.stripes] = activityLogStripes
        out[Field.stripeSize] = activityLogStripeSize
    }

    /// Nobody has to apply the activity log. A kernel node attaches only clean metadata.
    /// Spec: drbd-disk-and-state 2.1 rule 1.
    package var isClean: Bool {
        !hasUncleanMagic && flags.contains(.activityLogClean)
    }
}

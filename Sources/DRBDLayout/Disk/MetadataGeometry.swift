/// Where the metadata of a volume is kept. Spec: drbd-disk-and-state 2.
package enum MetadataPlacement: Hashable, Sendable {
    /// At the end of the data device.
    case `internal`
    /// A device of its own.
    case flexibleExternal
    /// One of the 128 MiB slots of a device of its own.
    case indexed(UInt32)
}

/// Where superblock, activity log and bitmap lie, and what is left for data. Spec: drbd-disk-and-state 2.
///
///     internal:  [ data ... ][ bitmap ][ activity log ][ superblock 4 KiB ][ 0 to 7 unused sectors ]
///     external:  [ superblock 4 KiB ][ activity log ][ bitmap ]
///
/// All numbers are sectors. Offsets are relative to the superblock. Invariants: everything lies inside of the device
/// that the geometry was made for; superblock, log and bitmap start at multiples of 8 sectors from the superblock and
/// do not overlap.
package struct MetadataGeometry: Hashable, Sendable {
    package let placement: MetadataPlacement
    package let superblockSector: UInt64
    package let activityLogOffset: Int32
    package let bitmapOffset: Int32
    /// `md_size_sect`: all of the metadata.
    package let metadataSectors: UInt32
    package let striping: ActivityLogStriping
    /// Sectors that a replicated device can have on this disk.
    package let usableSectors: UInt64

    /// 1 MiB.
    package static let deviceSectorsMin: UInt64 = 2048
    /// Sectors of one slot of an indexed metadata device.
    package static let slotSectors: UInt64 = 262_144
    /// Data that an indexed slot can describe.
    package static let indexedUsableSectorsMax: UInt64 = 8_587_575_296
    /// Data sectors that one sector of bitmap covers.
    static let sectorsPerBitmapSector: UInt64 = 32_768

    init(
        placement: MetadataPlacement, superblockSector: UInt64, activityLogOffset: Int32, bitmapOffset: Int32,
        metadataSectors: UInt32, striping: ActivityLogStriping, usableSectors: UInt64
    ) {
        self.placement = placement
        self.superblockSector = superblockSector
        self.activityLogOffset = activityLogOffset
        self.bitmapOffset = bitmapOffset
        self.metadataSectors = metadataSectors
        self.striping = striping
        self.usableSectors = usableSectors
    }

    /// The geometry of new metadata.
    ///
    /// - Parameters:
    ///   - metadataDeviceSectors: size of the device that holds the metadata.
    ///   - dataDeviceSectors: size of the data device; the same number for internal.
    ///   - striping: indexed metadata takes only ``ActivityLogStriping/standard``.
    package init(
        placement: MetadataPlacement, metadataDeviceSectors: UInt64, dataDeviceSectors: UInt64,
        striping: ActivityLogStriping = .standard
    ) throws(MetadataDefect) {
        switch placement {
        case .internal:
            self = try Self.internal(metadataDeviceSectors, striping)
        case .flexibleExternal:
            self = try Self.flexibleExternal(metadataDeviceSectors, dataDeviceSectors, striping)
        case .indexed(let index):
            self = try Self.indexed(index, metadataDeviceSectors, dataDeviceSectors, striping)
        }
    }

    /// The sector of the superblock; throws when the device cannot hold one.
    package static func superblockSector(
        placement: MetadataPlacement, metadataDeviceSectors: UInt64
    ) throws(MetadataDefect) -> UInt64 {
        let (needed, sector): (UInt64, UInt64)
        switch placement {
        case .internal: (needed, sector) = (deviceSectorsMin, (metadataDeviceSectors & ~7) &- 8)
        case .flexibleExternal: (needed, sector) = (deviceSectorsMin, 0)
        case .indexed(let index): (needed, sector) = (slotSectors * (UInt64(index) + 1), slotSectors * UInt64(index))
        }
        guard metadataDeviceSectors >= needed else {
            throw tooSmall(metadataDeviceSectors, "at least \(needed) sectors")
        }
        return sector
    }

    private static func `internal`(
        _ capacity: UInt64, _ striping: ActivityLogStriping
    ) throws(MetadataDefect) -> MetadataGeometry {
        let superblock = try superblockSector(placement: .internal, metadataDeviceSectors: capacity)
        // The whole device is counted, not only its data. 8 sectors of bitmap cover 128 MiB.
        let covered: UInt64 = 262_144
        let bitmapSectors = 8 * (capacity / covered + (capacity % covered == 0 ? 0 : 1))
        let size = bitmapSectors + 8 + striping.sectorCount
        guard size <= UInt64(Int32.max) else {
            throw tooLarge(capacity)
        }
        guard superblock > size - 8 else {
            throw tooSmall(capacity, "more than the \(size) sectors of metadata")
        }
        return MetadataGeometry(
            placement: .internal, superblockSector: superblock, activityLogOffset: -Int32(striping.sectorCount),
            bitmapOffset: 8 - Int32(size), metadataSectors: UInt32(size), striping: striping,
            usableSectors: superblock - (size - 8))
    }

    private static func flexibleExternal(
        _ capacity: UInt64, _ dataSectors: UInt64, _ striping: ActivityLogStriping
    ) throws(MetadataDefect) -> MetadataGeometry {
        let superblock = try superblockSector(placement: .flexibleExternal, metadataDeviceSectors: capacity)
        guard let size = UInt32(exactly: capacity) else {
            throw tooLarge(capacity)
        }
        let bitmapOffset = 8 + striping.sectorCount
        guard bitmapOffset < capacity else {
            throw tooSmall(capacity, "more than the \(bitmapOffset) sectors before the bitmap")
        }
        return MetadataGeometry(
            placement: .flexibleExternal, superblockSector: superblock, activityLogOffset: 8,
            bitmapOffset: Int32(bitmapOffset), metadataSectors: size, striping: striping,
            usableSectors: min(dataSectors, (capacity - bitmapOffset) * sectorsPerBitmapSector))
    }

    private static func indexed(
        _ index: UInt32, _ capacity: UInt64, _ dataSectors: UInt64, _ striping: ActivityLogStriping
    ) throws(MetadataDefect) -> MetadataGeometry {
        let superblock = try superblockSector(placement: .indexed(index), metadataDeviceSectors: capacity)
        guard striping == .standard else {
            throw MetadataDefect(
                .invalid, field: "blocks of the activity log", found: Int64(striping.blockCount),
                expected: "1 stripe of 8 in indexed metadata", sector: superblock)
        }
        return MetadataGeometry(
            placement: .indexed(index), superblockSector: superblock, activityLogOffset: 8, bitmapOffset: 72,
            metadataSectors: UInt32(slotSectors), striping: striping,
            usableSectors: min(dataSectors, indexedUsableSectorsMax))
    }

    static func tooSmall(_ capacity: UInt64, _ expected: String) -> MetadataDefect {
        MetadataDefect(
            .deviceTooSmall, field: "size in sectors", found: Int64(clamping: capacity), expected: expected,
            sector: 0)
    }

    private static func tooLarge(_ capacity: UInt64) -> MetadataDefect {
        MetadataDefect(
            .deviceTooLarge, field: "size in sectors", found: Int64(clamping: capacity),
            expected: "metadata that 32-bit offsets can describe", sector: 0)
    }
}

extension MetadataGeometry {
    /// First sector of the activity log.
    package var activityLogSector: UInt64 { Self.moved(superblockSector, by: activityLogOffset) }

    /// First sector of the bitmap.
    package var bitmapSector: UInt64 { Self.moved(superblockSector, by: bitmapOffset) }

    /// Sectors of the bitmap's area, a multiple of 8.
    package var bitmapSectors: UInt64 {
        let area = bitmapOffset < 0 ? activityLogSector - bitmapSector : UInt64(metadataSectors) - UInt64(bitmapOffset)
        return area & ~7
    }

    /// First sector of the metadata.
    package var firstSector: UInt64 { min(superblockSector, bitmapSector) }

    /// The sector of the activity log's block that holds transaction `number`. Spec: drbd-disk-and-state 5.4.
    package func sector(ofTransaction number: UInt32) -> UInt64 {
        activityLogSector + 8 * UInt64(striping.block(ofTransaction: number))
    }

    private static func moved(_ sector: UInt64, by offset: Int32) -> UInt64 {
        offset < 0 ? sector - UInt64(offset.magnitude) : sector + UInt64(offset.magnitude)
    }
}

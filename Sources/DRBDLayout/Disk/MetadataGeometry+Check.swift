extension MetadataGeometry {
    /// The geometry that a superblock describes, after all checks of attach but that for cleanness.
    /// Spec: drbd-disk-and-state 2.1.
    ///
    /// Deviation: the bitmap must hold the last agreed size rounded up to whole sectors (the reference rounds down),
    /// and log and bitmap must lie on the side of the superblock that the placement says, so that nothing that passed
    /// can reach over another area or the device's end.
    ///
    /// - Parameters:
    ///   - metadataDeviceSectors: size of the device that holds the metadata.
    ///   - dataDeviceSectors: size of the data device; the same number for internal.
    package init(
        checking superblock: MetadataSuperblock, placement: MetadataPlacement, metadataDeviceSectors: UInt64,
        dataDeviceSectors: UInt64
    ) throws(MetadataDefect) {
        let sector = try Self.superblockSector(
            placement: placement, metadataDeviceSectors: metadataDeviceSectors)
        let check = SuperblockCheck(superblock: superblock, sector: sector, deviceSectors: metadataDeviceSectors)
        try check.bytesPerBit()
        let striping = try check.striping()
        switch placement {
        case .internal: try check.internalOffsets(striping)
        case .flexibleExternal: try check.externalOffsets(striping)
        case .indexed: try check.indexedOffsets(striping)
        }
        try check.deviceHolds(placement)
        let usable: UInt64
        switch placement {
        case .internal: usable = sector - UInt64(superblock.bitmapOffset.magnitude)
        case .flexibleExternal:
            let bitmapArea = UInt64(superblock.metadataSectors) - UInt64(superblock.bitmapOffset.magnitude)
            usable = min(dataDeviceSectors, bitmapArea * Self.sectorsPerBitmapSector)
        case .indexed: usable = min(dataDeviceSectors, Self.indexedUsableSectorsMax)
        }
        self.init(
            placement: placement, superblockSector: sector, activityLogOffset: superblock.activityLogOffset,
            bitmapOffset: superblock.bitmapOffset, metadataSectors: superblock.metadataSectors, striping: striping,
            usableSectors: usable)
        try check.bitmapHolds(bitmapSectors)
    }
}

/// The single checks; each names the field it refuses.
private struct SuperblockCheck {
    let superblock: MetadataSuperblock
    let sector: UInt64
    let deviceSectors: UInt64

    private func defect(_ field: String, _ found: some BinaryInteger, _ expected: String) -> MetadataDefect {
        MetadataDefect(.invalid, field: field, found: Int64(clamping: found), expected: expected, sector: sector)
    }

    func bytesPerBit() throws(MetadataDefect) {
        guard superblock.bytesPerBit == MetadataSuperblock.bytesPerBit else {
            throw defect("bm_bytes_per_bit", superblock.bytesPerBit, "4096")
        }
    }

    func striping() throws(MetadataDefect) -> ActivityLogStriping {
        let (stripes, blocks) = (superblock.activityLogStripes, superblock.activityLogStripeSize)
        if stripes == 0, blocks == 0 { return .standard }
        guard stripes != 0 else { throw defect("al_stripes", 0, "not 0 beside al_stripe_size_4k \(blocks)") }
        guard blocks != 0 else { throw defect("al_stripe_size_4k", 0, "not 0 beside al_stripes \(stripes)") }
        guard let striping = ActivityLogStriping(stripes: stripes, stripeBlocks: blocks) else {
            throw defect("al_stripes", stripes, "times al_stripe_size_4k \(blocks) to be 8 to 4194304 blocks")
        }
        return striping
    }

    /// The log lies right before the superblock, the bitmap before the log, all on the device.
    func internalOffsets(_ striping: ActivityLogStriping) throws(MetadataDefect) {
        guard Int64(superblock.activityLogOffset) == -Int64(striping.sectorCount) else {
            throw defect("al_offset", superblock.activityLogOffset, "\(-Int64(striping.sectorCount))")
        }
        guard superblock.bitmapOffset <= superblock.activityLogOffset, superblock.bitmapOffset % 8 == 0 else {
            throw defect(
                "bm_offset", superblock.bitmapOffset, "a multiple of 8 up to al_offset \(superblock.activityLogOffset)")
        }
        guard UInt64(superblock.bitmapOffset.magnitude) <= sector else {
            throw defect("bm_offset", superblock.bitmapOffset, "a place on the device, at least -\(sector)")
        }
    }

    /// The log lies right after the superblock, the bitmap after the log.
    func externalOffsets(_ striping: ActivityLogStriping) throws(MetadataDefect) {
        guard superblock.activityLogOffset == 8 else {
            throw defect("al_offset", superblock.activityLogOffset, "8")
        }
        let first = 8 + Int64(striping.sectorCount)
        guard Int64(superblock.bitmapOffset) >= first, superblock.bitmapOffset % 8 == 0 else {
            throw defect("bm_offset", superblock.bitmapOffset, "a multiple of 8 from \(first) on")
        }
        guard superblock.metadataSectors > superblock.bitmapOffset else {
            throw defect("md_size_sect", superblock.metadataSectors, "more than bm_offset \(superblock.bitmapOffset)")
        }
    }

    func indexedOffsets(_ striping: ActivityLogStriping) throws(MetadataDefect) {
        guard superblock.metadataSectors == 262_144 else {
            throw defect("md_size_sect", superblock.metadataSectors, "262144")
        }
        guard superblock.activityLogOffset == 8 else {
            throw defect("al_offset", superblock.activityLogOffset, "8")
        }
        guard superblock.bitmapOffset == 72 else {
            throw defect("bm_offset", superblock.bitmapOffset, "72")
        }
        guard striping == .standard else {
            throw defect("al_stripes", superblock.activityLogStripes, "1 stripe of 8 blocks")
        }
    }

    /// All of the metadata lies on the device, from its first sector on.
    func deviceHolds(_ placement: MetadataPlacement) throws(MetadataDefect) {
        let first: UInt64
        switch placement {
        case .internal: first = sector - UInt64(superblock.bitmapOffset.magnitude)
        case .flexibleExternal, .indexed: first = sector
        }
        let size = UInt64(superblock.metadataSectors)
        guard size <= deviceSectors, deviceSectors - size >= first else {
            throw defect("md_size_sect", size, "at most \(deviceSectors - first) on a device of \(deviceSectors)")
        }
    }

    /// The bitmap has room for the device as last agreed.
    func bitmapHolds(_ bitmapSectors: UInt64) throws(MetadataDefect) {
        let perSector = MetadataGeometry.sectorsPerBitmapSector
        let needed = superblock.deviceSectors / perSector + (superblock.deviceSectors % perSector == 0 ? 0 : 1)
        guard needed <= bitmapSectors else {
            throw defect(
                "la_size_sect", superblock.deviceSectors, "at most what \(bitmapSectors) sectors of bitmap cover")
        }
    }
}

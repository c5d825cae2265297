internal import DRBDLayout

// Recovery after a crash, and after the device grew. Spec: drbd-disk-and-state 5.5, 9.4.
extension MetadataTool {
    /// Marks everything out of sync that a crashed primary may have been writing; then the log is empty and clean.
    ///
    /// Order: bitmap, log, superblock, so that a crash in between repeats the work.
    func applyActivityLog(_ line: MetadataCommandLine, _ area: MetadataArea) throws(Failure) -> Int32 {
        var superblock = try area.superblock()
        let geometry = try area.geometry(of: superblock)
        if superblock.isClean { return 0 }
        let wasPrimary = superblock.flags.contains(.primaryIndicator)
        var extents: [UInt32] = []
        let log = try area.readActivityLog(geometry)
        switch Self.replay(log, geometry.striping) {
        case .success(let replay):
            if replay.corruptBlocks > 0 {
                console.writeError("\(replay.corruptBlocks) corrupt AL transactions found\n")
            }
            extents = replay.extents
        case .failure(let defect):
            guard !wasPrimary else {
                throw Failure("No usable activity log found. Do you need to create-md?\n\(defect)")
            }
            console.writeError("No usable activity log found.\nError ignored, no need to apply the AL\n")
        }
        if wasPrimary && !extents.isEmpty {
            try mark(extents, superblock, geometry, area)
        }
        try area.initialiseActivityLog(geometry)
        superblock.hasUncleanMagic = false
        superblock.flags.insert(.activityLogClean)
        try area.write(superblock)
        return 0
    }

    private static func replay(
        _ log: [UInt8], _ striping: ActivityLogStriping
    ) -> Result<ActivityLogReplay, ActivityLogReplay.Unusable> {
        log.withUnsafeBytes { bytes in
            do throws(ActivityLogReplay.Unusable) {
                return .success(try ActivityLogReplay(log: bytes, striping: striping))
            } catch {
                return .failure(error)
            }
        }
    }

    /// Sets the 1024 bits of each extent. Deviation: of the last one only those that the device has; Debian's tool sets
    /// the padding of the bitmap too.
    private func mark(
        _ extents: [UInt32], _ superblock: MetadataSuperblock, _ geometry: MetadataGeometry, _ area: MetadataArea
    ) throws(Failure) {
        var bitmap = try area.readBitmap(geometry, sectors: superblock.deviceSectors)
        let bitCount = Int((superblock.deviceSectors + 7) / 8)
        var marked = 0
        for extent in extents {
            let first = Int(extent) * 1024
            guard first < bitCount else {
                console.writeError("extent \(extent) beyond end of bitmap!\n")
                continue
            }
            for bit in first..<min(first + 1024, bitCount) where bitmap[bit / 8] & (1 << (bit % 8)) == 0 {
                bitmap[bit / 8] |= 1 << (bit % 8)
                marked += 1
            }
        }
        if marked > 0 {
            try area.writeBitmap(geometry, bitmap)
            let size = Self.humanSize(sectors: UInt64(marked) * 8)
            console.writeError("Marked additional \(size) as out-of-sync based on AL.\n")
        }
    }

    /// After an internal backing device was grown offline its metadata lies where the old end was. Moving it is not served.
    func checkResize(_ area: MetadataArea) throws(Failure) -> Int32 {
        guard try area.versionFound() == nil else { return 0 }
        throw Failure(
            "no suitable meta data found :(\n"
                + "If the device grew, its meta data lies at the old end; yoke does not move it to the new one.\n"
                + "Give the device its old size back, or create-md and let the other host sync it.")
    }
}

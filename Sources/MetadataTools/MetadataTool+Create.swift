internal import DRBDLayout

// Making and removing metadata. Spec: drbd-config-and-tools 14.1.
extension MetadataTool {
    func createMetadata(_ line: MetadataCommandLine, _ area: MetadataArea) throws(Failure) -> Int32 {
        let geometry = try area.freshGeometry(line.striping)
        try confirmReplacing(line, area)
        try confirmDestroying(line, area, geometry)

        let bitmapBytes = area.bitmapByteCount(geometry, sectors: geometry.usableSectors)
        console.writeError("initializing bitmap (\(bitmapBytes >> 10) KB) to all zero\n")
        try area.clearBitmap(geometry, count: bitmapBytes)
        console.writeOutput("initializing activity log\n")
        try area.initialiseActivityLog(geometry)
        console.writeOutput("Writing meta data...\n")
        var superblock = MetadataSuperblock(geometry: geometry, deviceUUID: environment.random())
        superblock.peerRequestByteCountMax = line.peerRequestSizeMax
        try area.write(superblock)
        console.writeOutput("New drbd meta data block successfully created.\n")
        return 0
    }

    /// Metadata that is there already: asks before it is overwritten.
    private func confirmReplacing(_ line: MetadataCommandLine, _ area: MetadataArea) throws(Failure) {
        guard let version = try area.versionFound() else { return }
        let kind = line.place.kindText
        console.writeOutput("You want me to create a v08 style \(kind) meta data block.\n")
        if version.name == "v08" {
            console.writeOutput(
                "There appears to be a v08 \(kind) meta data block\n"
                    + "already in place on \(area.file.path) at byte offset \(try area.superblockOffset())\n")
        } else {
            console.writeOutput(
                "There is \(version.name) meta data already in place on \(area.file.path) "
                    + "at byte offset \(try area.superblockOffset())\n"
                    + "So you want me to replace the \(version.name) meta-data\nwith newly initialized v08 meta-data?\n"
            )
        }
        guard console.confirm("Do you really want to overwrite the existing meta-data?", forced: line.isForced) else {
            throw Failure("Operation cancelled.")
        }
    }

    /// Data of somebody else: what is recognised is named; what would be cut off is refused.
    private func confirmDestroying(
        _ line: MetadataCommandLine, _ area: MetadataArea, _ geometry: MetadataGeometry
    ) throws(Failure) {
        let count = Int(min(area.file.size, UInt64(ExistingData.scannedByteCount)))
        guard let existing = ExistingData.recognise(try area.read(at: 0, count: count)) else { return }
        console.writeOutput(
            "md_offset \(try area.superblockOffset())\nal_offset \(geometry.activityLogSector * 512)\n"
                + "bm_offset \(geometry.bitmapSector * 512)\n\nFound \(existing.name)\n")
        // External metadata lies where the found data begins; nothing of it survives.
        if case .internal = line.place, let used = existing.usedBytes {
            let left = geometry.usableSectors / 2
            console.writeOutput(
                "\(Self.padded(used >> 10)) kB data area apparently used\n"
                    + "\(Self.padded(left)) kB left usable by current configuration\n\n")
            guard used >> 10 <= left else {
                console.writeOutput(
                    """
                    Device size would be truncated, which
                    would corrupt data and result in
                    'access beyond end of device' errors.
                    You need to either
                       * use external meta data (recommended)
                       * shrink that filesystem first
                       * zero out the device (destroy the filesystem)
                    Operation refused.


                    """)
                throw Failure("", exitStatus: 40)
            }
            console.writeOutput(
                "Even though it looks like this would place the new meta data into\n"
                    + "unused space, you still need to confirm, as this is only a guess.\n")
        } else {
            console.writeOutput("\n ==> This might destroy existing data! <==\n")
        }
        guard console.confirm("Do you want to proceed?", forced: line.isForced) else {
            throw Failure("Operation cancelled.")
        }
    }

    func wipe(_ line: MetadataCommandLine, _ area: MetadataArea) throws(Failure) -> Int32 {
        guard try area.versionFound() != nil else {
            console.writeError("There appears to be no drbd meta data to wipe out?\n")
            return 0
        }
        guard console.confirm("Do you really want to wipe out the DRBD meta data?", forced: line.isForced) else {
            throw Failure("Operation cancelled.")
        }
        console.writeOutput("Wiping meta data...\n")
        try area.clearSuperblock()
        console.writeOutput("DRBD meta data block successfully wiped out.\n")
        return 0
    }

    private static func padded(_ number: UInt64) -> String {
        let digits = String(number)
        return String(repeating: " ", count: max(0, 12 - digits.count)) + digits
    }
}

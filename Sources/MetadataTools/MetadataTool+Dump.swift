internal import DRBDLayout

// The text form of metadata. Spec: drbd-config-and-tools 14.2.
//
// Deviation: the flags are printed as they are. The classic tool of this generation prints 0 whatever they are, so that
// a dump and restore loses them.
extension MetadataTool {
    func dump(_ line: MetadataCommandLine, _ area: MetadataArea) throws(Failure) -> Int32 {
        let superblock = try area.superblock()
        if !superblock.isClean && !line.isForced {
            throw Failure("Found meta data is \"unclean\", please apply-al first")
        }
        let geometry = try area.geometry(of: superblock)
        console.writeOutput(
            """
            # DRBD meta data dump
            # \(environment.dateText())
            # \(environment.hostName())> drbdmeta \(line.words.joined(separator: " "))
            #

            version "v08";

            \(superblock.isClean ? "" : "This_is_an_unclean_meta_data_dump._Don't_trust_the_bitmap.\n\n")\
            # md_size_sect \(superblock.metadataSectors)
            # md_offset \(try area.superblockOffset())
            # al_offset \(geometry.activityLogSector * 512)
            # bm_offset \(geometry.bitmapSector * 512)

            uuid {
                \(superblock.generationText.uuids.map { BitmapText.number($0) + ";" }.joined(separator: " "))
                flags 0x\(Self.hexadecimal(superblock.flags.rawValue));
            }
            # al-extents \(superblock.activityLogExtents);
            la-size-sect \(superblock.deviceSectors);
            bm-byte-per-bit \(superblock.bytesPerBit);
            device-uuid \(BitmapText.number(superblock.deviceUUID));
            la-peer-max-bio-size \(superblock.peerRequestByteCountMax);
            al-stripes \(superblock.activityLogStripes);
            al-stripe-size-4k \(superblock.activityLogStripeSize);

            """)
        let bitmap = try area.readBitmap(geometry, sectors: superblock.deviceSectors)
        let bits = bitmap.reduce(0) { $0 + $1.nonzeroBitCount }
        console.writeOutput(
            "# bm-bytes \(bitmap.count);\nbm {\n\(BitmapText.lines(of: bitmap))}\n# bits-set \(bits);\n")
        return 0
    }

    func verifyDump(_ line: MetadataCommandLine) throws(Failure) -> Int32 {
        _ = try readDump(line)
        console.writeOutput("input file parsed ok\n")
        return 0
    }

    func restore(_ line: MetadataCommandLine, _ area: MetadataArea) throws(Failure) -> Int32 {
        let content = try readDump(line)
        guard
            let striping = ActivityLogStriping(
                stripes: content.activityLogStripes, stripeBlocks: content.activityLogStripeBlocks)
        else {
            throw Failure("The dump's activity log is too small or too large.", exitStatus: 10)
        }
        let geometry = try area.freshGeometry(striping)
        let usable = geometry.usableSectors
        guard content.bytesPerBit == 4096, content.agreedSectors <= usable else {
            throw Failure(
                "The dump is of a device of \(content.agreedSectors) sectors; \(area.file.path) has room for \(usable).",
                exitStatus: 10)
        }
        if try area.versionFound() != nil {
            guard console.confirm("Valid meta-data in place, overwrite?", forced: line.isForced) else {
                throw Failure("Operation cancelled.")
            }
        }
        console.writeOutput("reinitializing\n")
        var bitmap = BitmapText.bytes(of: content.bitmap)
        let room = area.bitmapByteCount(geometry, sectors: content.agreedSectors)
        guard bitmap.count <= room else {
            throw Failure("The dump's bitmap has \(bitmap.count) bytes, the device needs \(room).", exitStatus: 10)
        }
        bitmap += [UInt8](repeating: 0, count: room - bitmap.count)
        try area.writeBitmap(geometry, bitmap)
        try area.initialiseActivityLog(geometry)
        var superblock = MetadataSuperblock(geometry: geometry, deviceUUID: content.deviceUUID)
        (superblock.current, superblock.bitmap) = (content.uuids[0], content.uuids[1])
        (superblock.history0, superblock.history1) = (content.uuids[2], content.uuids[3])
        superblock.flags = MetadataFlags(rawValue: content.flags).union(.activityLogClean)
        superblock.deviceSectors = content.agreedSectors
        superblock.peerRequestByteCountMax = content.peerRequestSizeMax
        try area.write(superblock)
        console.writeOutput("Successfully restored meta data\n")
        return 0
    }

    private func readDump(_ line: MetadataCommandLine) throws(Failure) -> DumpReader.Content {
        guard let path = line.operands.first else { throw MetadataCommandLine.usage("the dump's file is missing") }
        guard let bytes = environment.readFile(path) else { throw Failure("open(\(path)) failed", exitStatus: 20) }
        do throws(DumpReader.Failure) {
            return try DumpReader.read(bytes)
        } catch {
            throw Failure(error.text, exitStatus: 10)
        }
    }

    private static func hexadecimal(_ number: UInt32) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}

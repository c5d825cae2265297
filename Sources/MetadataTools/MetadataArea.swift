internal import DRBDLayout

/// The metadata of one device: where its parts lie, read and written as a whole.
///
/// Every write is flushed before the next part is touched, so that the order of the callers is the order on the disk.
struct MetadataArea {
    let file: BlockFile
    let placement: MetadataPlacement

    // MARK: Superblock

    /// Byte offset of the superblock.
    func superblockOffset() throws(MetadataTool.Failure) -> UInt64 {
        do throws(MetadataDefect) {
            return 512
                * (try MetadataGeometry.superblockSector(placement: placement, metadataDeviceSectors: file.sectors))
        } catch {
            throw MetadataTool.Failure("\(file.path): \(error)")
        }
    }

    /// What kind of metadata is there already; nil: none.
    func versionFound() throws(MetadataTool.Failure) -> MetadataVersion? {
        try read(at: try superblockOffset(), count: MetadataSuperblock.byteCount)
            .withUnsafeBytes { MetadataVersion.recognise($0) }
    }

    func superblock() throws(MetadataTool.Failure) -> MetadataSuperblock {
        let offset = try superblockOffset()
        let block = try read(at: offset, count: MetadataSuperblock.byteCount)
        let outcome = block.withUnsafeBytes { bytes -> Result<MetadataSuperblock, MetadataDefect> in
            do throws(MetadataDefect) {
                return .success(try MetadataSuperblock(decoding: bytes, sector: offset / 512))
            } catch {
                return .failure(error)
            }
        }
        switch outcome {
        case .success(let superblock): return superblock
        case .failure(let defect): throw MetadataTool.Failure("No valid meta data found\n\(file.path): \(defect)")
        }
    }

    func write(_ superblock: MetadataSuperblock) throws(MetadataTool.Failure) {
        var block = [UInt8](repeating: 0, count: MetadataSuperblock.byteCount)
        block.withUnsafeMutableBytes { superblock.encode(into: $0) }
        try write(block, at: try superblockOffset())
    }

    func clearSuperblock() throws(MetadataTool.Failure) {
        try write([UInt8](repeating: 0, count: MetadataSuperblock.byteCount), at: try superblockOffset())
    }

    // MARK: Geometry

    /// - Note: the data device of external metadata is not known here: its size does not move the metadata.
    func freshGeometry(_ striping: ActivityLogStriping) throws(MetadataTool.Failure) -> MetadataGeometry {
        do throws(MetadataDefect) {
            return try MetadataGeometry(
                placement: placement, metadataDeviceSectors: file.sectors, dataDeviceSectors: .max >> 2,
                striping: striping)
        } catch {
            throw MetadataTool.Failure("\(file.path): \(error)")
        }
    }

    func geometry(of superblock: MetadataSuperblock) throws(MetadataTool.Failure) -> MetadataGeometry {
        do throws(MetadataDefect) {
            return try MetadataGeometry(
                checking: superblock, placement: placement, metadataDeviceSectors: file.sectors,
                dataDeviceSectors: .max >> 2)
        } catch {
            throw MetadataTool.Failure("\(file.path): \(error)")
        }
    }

    // MARK: Bitmap

    /// Bytes of the bitmap of a device of `sectors`, in whole blocks of 4 KiB; never more than its area holds.
    func bitmapByteCount(_ geometry: MetadataGeometry, sectors: UInt64) -> Int {
        let bits = (sectors + 7) / 8
        let bytes = (bits + 63) / 64 * 8
        return Int(min((bytes + 4095) & ~4095, geometry.bitmapSectors * 512))
    }

    func readBitmap(_ geometry: MetadataGeometry, sectors: UInt64) throws(MetadataTool.Failure) -> [UInt8] {
        try read(at: geometry.bitmapSector * 512, count: bitmapByteCount(geometry, sectors: sectors))
    }

    func writeBitmap(_ geometry: MetadataGeometry, _ bytes: [UInt8]) throws(MetadataTool.Failure) {
        try write(bytes, at: geometry.bitmapSector * 512)
    }

    func clearBitmap(_ geometry: MetadataGeometry, count: Int) throws(MetadataTool.Failure) {
        do throws(BlockFile.Failure) {
            try file.clear(from: geometry.bitmapSector * 512, count: UInt64(count))
            try file.flush()
        } catch {
            throw MetadataTool.Failure(error.text)
        }
    }

    // MARK: Activity log

    func readActivityLog(_ geometry: MetadataGeometry) throws(MetadataTool.Failure) -> [UInt8] {
        try read(at: geometry.activityLogSector * 512, count: Int(geometry.striping.sectorCount) * 512)
    }

    /// Writes an initialised block into every slot of the ring.
    func initialiseActivityLog(_ geometry: MetadataGeometry) throws(MetadataTool.Failure) {
        var block = [UInt8](repeating: 0, count: ActivityLogTransaction.byteCount)
        block.withUnsafeMutableBytes { ActivityLogTransaction.empty.encode(into: $0) }
        do throws(BlockFile.Failure) {
            for index in 0..<UInt64(geometry.striping.blockCount) {
                try file.write(block, at: geometry.activityLogSector * 512 + index * UInt64(block.count))
            }
            try file.flush()
        } catch {
            throw MetadataTool.Failure(error.text)
        }
    }

    // MARK: Bytes

    func read(at offset: UInt64, count: Int) throws(MetadataTool.Failure) -> [UInt8] {
        do throws(BlockFile.Failure) {
            return try file.read(at: offset, count: count)
        } catch {
            throw MetadataTool.Failure(error.text)
        }
    }

    private func write(_ bytes: [UInt8], at offset: UInt64) throws(MetadataTool.Failure) {
        do throws(BlockFile.Failure) {
            try file.write(bytes, at: offset)
            try file.flush()
        } catch {
            throw MetadataTool.Failure(error.text)
        }
    }
}

extension MetadataPlacement {
    /// As the tool says it in `create-md`.
    var kindText: String {
        switch self {
        case .internal: "flexible-size internal"
        case .flexibleExternal: "flexible-size external"
        case .indexed: "fixed-size external"
        }
    }
}

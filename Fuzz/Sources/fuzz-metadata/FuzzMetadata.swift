import DRBDLayout
import LayoutKit

// Metadata of a foreign disk. The first byte chooses:
//   0 mod 4  a superblock, checked against a device
//   1 mod 4  one block of the activity log, its sum made right
//   2 mod 4  a whole log of short descriptions, one for each block
//   3 mod 4  the geometry of new metadata

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    guard let choice = input.first else { return 0 }
    let rest = input.dropped(1)
    switch choice & 3 {
    case 0: checkSuperblock(rest, choice >> 2)
    case 1: decodeBlock(rest)
    case 2: replayLog(rest)
    default: makeGeometry(rest, choice >> 2)
    }
    return 0
}

private func placement(_ choice: UInt8) -> MetadataPlacement {
    switch choice % 3 {
    case 0: .internal
    case 1: .flexibleExternal
    default: .indexed(UInt32(choice / 3))
    }
}

/// u64 sectors of the metadata device, u64 of the data device, then the superblock's first bytes.
private func checkSuperblock(_ input: UnsafeRawBufferPointer, _ choice: UInt8) {
    guard input.count >= 16 else { return }
    let (metadataSectors, dataSectors) = (input[LE64(offset: 0)], input[LE64(offset: 8)])
    var block = [UInt8](repeating: 0, count: MetadataSuperblock.byteCount)
    for (index, byte) in input.dropped(16).prefix(block.count).enumerated() { block[index] = byte }
    block.withUnsafeBytes { bytes in
        _ = MetadataVersion.recognise(bytes)?.name
        _ = try? MetadataSuperblock09(decoding: bytes)
        do throws(MetadataDefect) {
            let superblock = try MetadataSuperblock(decoding: bytes, sector: 0)
            expectRoundTrip(superblock)
            let geometry = try MetadataGeometry(
                checking: superblock, placement: placement(choice), metadataDeviceSectors: metadataSectors,
                dataDeviceSectors: dataSectors)
            expectSound(geometry, metadataSectors, dataSectors)
            precondition(superblock.deviceSectors <= geometry.bitmapSectors << 15)
        } catch {
            precondition(!error.description.isEmpty && error.attachErrorNumber > 0)
        }
    }
}

/// u64 sectors of the metadata device, u64 of the data device, u16 stripes, u16 blocks of a stripe.
private func makeGeometry(_ input: UnsafeRawBufferPointer, _ choice: UInt8) {
    guard input.count >= 20 else { return }
    let (metadataSectors, dataSectors) = (input[LE64(offset: 0)], input[LE64(offset: 8)])
    let (stripes, blocks) = (input[LE16(offset: 16)], input[LE16(offset: 18)])
    let striping = ActivityLogStriping(stripes: UInt32(stripes), stripeBlocks: UInt32(blocks)) ?? .standard
    do throws(MetadataDefect) {
        let geometry = try MetadataGeometry(
            placement: placement(choice), metadataDeviceSectors: metadataSectors, dataDeviceSectors: dataSectors,
            striping: striping)
        expectSound(geometry, metadataSectors, dataSectors)
        let superblock = MetadataSuperblock(geometry: geometry, deviceUUID: 1)
        let checked = try MetadataGeometry(
            checking: superblock, placement: placement(choice), metadataDeviceSectors: metadataSectors,
            dataDeviceSectors: dataSectors)
        precondition(checked == geometry, "\(geometry) was read as \(checked)")
    } catch {
        precondition(error.kind == .deviceTooSmall || error.kind == .deviceTooLarge || choice % 3 == 2, "\(error)")
    }
}

/// The areas lie on the device and do not overlap.
private func expectSound(_ geometry: MetadataGeometry, _ metadataSectors: UInt64, _ dataSectors: UInt64) {
    let log = geometry.activityLogSector..<geometry.activityLogSector + geometry.striping.sectorCount
    let bitmap = geometry.bitmapSector..<geometry.bitmapSector + geometry.bitmapSectors
    let superblock = geometry.superblockSector..<geometry.superblockSector + 8
    let areas = [log, bitmap, superblock].sorted { $0.lowerBound < $1.lowerBound }
    precondition(
        areas[0].upperBound <= areas[1].lowerBound && areas[1].upperBound <= areas[2].lowerBound, "\(geometry)")
    precondition(areas[2].upperBound <= metadataSectors, "\(geometry)")
    if geometry.placement == .internal {
        precondition(geometry.usableSectors <= areas[0].lowerBound, "\(geometry)")
    } else {
        precondition(geometry.usableSectors <= dataSectors, "\(geometry)")
    }
    for number: UInt32 in [0, 1, 7, 8, .max] {
        let sector = geometry.sector(ofTransaction: number)
        precondition(log.contains(sector) && log.contains(sector + 7), "\(geometry)")
    }
}

private func decodeBlock(_ input: UnsafeRawBufferPointer) {
    var block = [UInt8](repeating: 0xff, count: ActivityLogTransaction.byteCount)
    for (index, byte) in input.prefix(block.count).enumerated() { block[index] = byte }
    makeSumRight(&block)
    block.withUnsafeBytes { bytes in
        guard let transaction = try? ActivityLogTransaction(decoding: bytes) else { return }
        expectRoundTrip(transaction)
    }
}

/// For each block: one byte of choice, then 24 bytes of head and first update; every fifth choice damages the block.
private func replayLog(_ input: UnsafeRawBufferPointer) {
    let count = 25
    let striping = ActivityLogStriping.standard
    var log = [UInt8]()
    for index in 0..<Int(striping.blockCount) {
        var block = encodedBytes(of: ActivityLogTransaction.empty)
        if (index + 1) * count <= input.count {
            let description = input.part(offset: index * count, count: count)
            for (index, byte) in description.dropped(1).prefix(20).enumerated() { block[index] = byte }
            block.replaceSubrange(0..<4, with: [0x69, 0xcb, 0x65, 0xa2])
            for (index, byte) in description.dropped(21).enumerated() { block[36 + index] = byte }
            makeSumRight(&block)
            if description[0] % 5 == 0 { block[100] ^= description[0] }
        }
        log += block
    }
    log.withUnsafeBytes { bytes in
        do throws(ActivityLogReplay.Unusable) {
            let replay = try ActivityLogReplay(log: bytes, striping: striping)
            precondition(zip(replay.extents, replay.extents.dropFirst()).allSatisfy { $0 < $1 })
            precondition(replay.corruptBlocks < 8)
        } catch {
            precondition(error.blockCount == 8 && !error.description.isEmpty)
        }
    }
}

private func makeSumRight(_ block: inout [UInt8]) {
    block.withUnsafeMutableBytes { bytes in
        bytes[BE32(offset: 8)] = 0
        bytes[BE32(offset: 8)] = CRC32C.update(0, with: UnsafeRawBufferPointer(bytes))
    }
}

private func encodedBytes(of layout: some FixedLayout) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xff, count: type(of: layout).byteCount)
    bytes.withUnsafeMutableBytes { layout.encode(into: $0) }
    return bytes
}

private func expectRoundTrip<Layout: FixedLayout & Equatable>(_ value: Layout) {
    encodedBytes(of: value).withUnsafeBytes { bytes in
        do throws(LayoutError) {
            let again = try Layout(decoding: bytes)
            precondition(again == value, "\(value) became \(again)")
        } catch {
            preconditionFailure("own encoding refused: \(error)")
        }
    }
}

internal import Glibc

/// What lies at the start of a device that shall receive metadata: recognised by its signatures.
/// Spec: drbd-config-and-tools 14.1.
package struct ExistingData: Equatable {
    /// As the tool prints it: `ext3 filesystem`.
    package var name: String
    /// Bytes that it uses from the start of the device; nil where the signature does not tell.
    var usedBytes: UInt64?

    /// How much of the device's start is looked at, in bytes.
    package static let scannedByteCount = 128 << 10

    /// - Parameters:
    ///   - start: the first bytes of the device, ``scannedByteCount`` of them (fewer on a smaller device).
    /// - Returns: nil if all of them are zero; `some data` if nothing is recognised.
    package static func recognise(_ start: [UInt8]) -> ExistingData? {
        guard start.contains(where: { $0 != 0 }) else { return nil }
        for detector in detectors {
            if let found = detector(start) { return found }
        }
        return ExistingData(name: "some data", usedBytes: nil)
    }

    var isRecognised: Bool { name != "some data" }

    private static let detectors: [@Sendable ([UInt8]) -> ExistingData?] = [
        ext, xfs, reiser, jfs, ocfs2, btrfs, swap, physicalVolume, luks, partitionTable,
    ]

    /// ext2, ext3 and ext4 share magic and size fields; the classic tool calls all of them ext3.
    private static func ext(_ start: [UInt8]) -> ExistingData? {
        guard little(start, 1024 + 56, 2) == 0xef53, let blocks = little(start, 1024 + 4, 4),
            let scale = little(start, 1024 + 24, 4), scale < 7
        else { return nil }
        return ExistingData(name: "ext3 filesystem", usedBytes: blocks << (10 + scale))
    }

    private static func xfs(_ start: [UInt8]) -> ExistingData? {
        guard has(start, "XFSB", at: 0), let blockSize = big(start, 4, 4), let blocks = big(start, 8, 8) else {
            return nil
        }
        let (used, overflow) = blocks.multipliedReportingOverflow(by: blockSize)
        return ExistingData(name: "xfs filesystem", usedBytes: overflow ? nil : used)
    }

    private static func reiser(_ start: [UInt8]) -> ExistingData? {
        guard has(start, "ReIsEr", at: 65536 + 52), let blocks = little(start, 65536, 4),
            let blockSize = little(start, 65536 + 44, 2)
        else { return nil }
        return ExistingData(name: "reiser filesystem", usedBytes: blocks * blockSize)
    }

    private static func jfs(_ start: [UInt8]) -> ExistingData? {
        guard has(start, "JFS1", at: 32768), let sectors = little(start, 32768 + 8, 8) else { return nil }
        let (used, overflow) = sectors.multipliedReportingOverflow(by: 512)
        return ExistingData(name: "jfs filesystem", usedBytes: overflow ? nil : used)
    }

    /// The superblock of OCFS2 lies in block 2; its dinode gives the volume's clusters. Spec: ocfs2-disk 3.
    private static func ocfs2(_ start: [UInt8]) -> ExistingData? {
        for blockSize in [512, 1024, 2048, 4096] where has(start, "OCFSV2", at: 2 * blockSize) {
            guard let clusters = little(start, 2 * blockSize + 0x14, 4),
                let clusterBits = little(start, 2 * blockSize + 0xfc, 4), clusterBits < 32
            else { continue }
            return ExistingData(name: "ocfs2 filesystem", usedBytes: clusters << clusterBits)
        }
        return nil
    }

    private static func btrfs(_ start: [UInt8]) -> ExistingData? {
        guard has(start, "_BHRfS_M", at: 65536 + 64) else { return nil }
        return ExistingData(name: "btrfs filesystem", usedBytes: little(start, 65536 + 0x70, 8))
    }

    private static func swap(_ start: [UInt8]) -> ExistingData? {
        guard has(start, "SWAPSPACE2", at: 4086) || has(start, "SWAP-SPACE", at: 4086),
            let lastPage = little(start, 1028, 4)
        else { return nil }
        return ExistingData(name: "swap space signature", usedBytes: (lastPage + 1) * 4096)
    }

    private static func physicalVolume(_ start: [UInt8]) -> ExistingData? {
        for sector in 0..<4 where has(start, "LABELONE", at: sector * 512) {
            return ExistingData(name: "LVM2 physical volume signature", usedBytes: nil)
        }
        return nil
    }

    private static func luks(_ start: [UInt8]) -> ExistingData? {
        has(start, "LUKS", at: 0) ? ExistingData(name: "LUKS encrypted volume", usedBytes: nil) : nil
    }

    private static func partitionTable(_ start: [UInt8]) -> ExistingData? {
        if has(start, "EFI PART", at: 512) { return ExistingData(name: "GPT partition table", usedBytes: nil) }
        guard little(start, 510, 2) == 0xaa55, (0..<4).contains(where: { start[446 + 16 * $0 + 4] != 0 }) else {
            return nil
        }
        return ExistingData(name: "DOS partition table", usedBytes: nil)
    }

    private static func has(_ bytes: [UInt8], _ text: String, at offset: Int) -> Bool {
        offset + text.utf8.count <= bytes.count && bytes[offset...].starts(with: text.utf8)
    }

    private static func little(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64? {
        guard offset + count <= bytes.count else { return nil }
        return bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func big(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64? {
        guard offset + count <= bytes.count else { return nil }
        return bytes[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
    }
}

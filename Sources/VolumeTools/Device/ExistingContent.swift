/// What already lies on a device, by the signatures that each format keeps at a fixed place.
enum ExistingContent {
    /// Bytes of the device's start that the signatures lie in.
    static let scannedByteCount = 128 << 10

    private struct Signature {
        var name: String
        var offset: Int
        var text: [UInt8]

        init(_ name: String, _ offset: Int, _ text: String) {
            self.init(name, offset, Array(text.utf8))
        }

        init(_ name: String, _ offset: Int, _ text: [UInt8]) {
            self.name = name
            self.offset = offset
            self.text = text
        }
    }

    private static let signatures: [Signature] = [
        Signature("ocfs2", 1024, "OCFSV2"), Signature("ocfs2", 2048, "OCFSV2"), Signature("ocfs2", 4096, "OCFSV2"),
        Signature("ocfs2", 8192, "OCFSV2"), Signature("ocfs", 8, "OracleCFS"), Signature("ext4", 1080, [0x53, 0xef]),
        Signature("xfs", 0, "XFSB"), Signature("btrfs", 65600, "_BHRfS_M"), Signature("gfs2", 65536, [1, 22, 25, 112]),
        Signature("reiserfs", 65588, "ReIsEr"), Signature("jfs", 32768, "JFS1"), Signature("swap", 4086, "SWAPSPACE2"),
        Signature("LUKS", 0, "LUKS\u{ba}\u{be}".unicodeScalars.map { UInt8($0.value) }),
        Signature("LVM2", 512, "LABELONE"), Signature("LVM2", 0, "LABELONE"), Signature("LVM2", 1024, "LABELONE"),
        Signature("LVM2", 1536, "LABELONE"), Signature("ntfs", 3, "NTFS    "), Signature("iso9660", 32769, "CD001"),
        Signature("GPT", 512, "EFI PART"), Signature("zfs", 135_168, [0x0c, 0xb1, 0xba, 0]),
    ]

    /// The name of the format that the first bytes of the device show; nil when none is known.
    static func recognise(_ start: [UInt8]) -> String? {
        signatures.first { signature in
            signature.offset + signature.text.count <= start.count
                && start[signature.offset..<signature.offset + signature.text.count] == signature.text[...]
        }?.name
    }
}

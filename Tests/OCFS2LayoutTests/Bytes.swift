import LayoutKit
import OCFS2Layout

/// Bytes from hexadecimal digits; anything else is skipped.
func hex(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    precondition(digits.count % 2 == 0, "odd number of digits")
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// A block from lines `offset  bytes`, as the chapter prints it; what no line names is zero.
func dump(_ blockSize: Int, _ lines: String) -> [UInt8] {
    var block = [UInt8](repeating: 0, count: blockSize)
    for line in lines.split(separator: "\n") {
        let words = line.split(separator: " ")
        guard let first = words.first, let offset = Int(first, radix: 16) else { continue }
        let bytes = words.dropFirst().compactMap { UInt8($0, radix: 16) }
        block.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }
    return block
}

func block(_ size: Int, _ fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    try bytes.withUnsafeMutableBytes { try fill($0) }
    return bytes
}

func geometry(_ blockSize: Int, _ clusterSize: Int = 4096) throws -> VolumeGeometry {
    try VolumeGeometry(
        blockSizeBits: blockSize.trailingZeroBitCount, clusterSizeBits: clusterSize.trailingZeroBitCount)
}

/// Default features, as mkfs.ocfs2 sets them.
let defaultFeatures = VolumeFeatures(
    compatible: .known, incompatible: IncompatibleFeatures(rawValue: 0xb750), readOnlyCompatible: .unwritten)

func parameters(
    _ blockSize: Int = 1024, _ clusterSize: Int = 4096, clusters: UInt32 = 76800, generation: UInt32 = 0x0b87_4119,
    features: VolumeFeatures = defaultFeatures, slots: UInt16 = 2
) throws -> VolumeParameters {
    VolumeParameters(
        geometry: try geometry(blockSize, clusterSize), features: features, generation: generation,
        clusterCount: clusters, slotCount: slots, rootBlock: 9, systemDirectoryBlock: 10)
}

/// Calls `body` with the bytes as decoders take them.
func reading<Result>(
    _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> Result
) rethrows -> Result {
    try bytes.withUnsafeBytes { try body($0) }
}

/// Blocks of the 512-byte volume of the chapter's appendix B.3: generation 0x49d0446b, all features.
enum SmallVolume {
    static let superblock = dump(
        512,
        """
        000  4f 43 46 53 56 32 00 00 6b 44 d0 49 ff ff ff ff
        010  00 00 00 00 00 40 00 00 00 00 00 00 00 00 00 00
        020  00 00 00 00 00 00 00 00 00 00 00 00 31 00 00 00
        030  00 00 00 00 00 00 00 00 5a 7f 01 6b 00 00 00 00
        040  5a 7f 01 6b 00 00 00 00 00 00 00 00 00 00 00 00
        050  02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        060  6b 44 d0 49 00 00 00 00 00 00 00 00 00 00 00 00
        080  e8 1d 02 e0 6d 02 00 00 00 00 00 00 00 00 00 00
        0c0  00 00 5a 00 00 00 14 00 00 00 00 00 00 00 00 00
        0d0  5a 7f 01 6b 00 00 00 00 00 00 00 00 03 00 00 00
        0e0  58 bf 00 00 07 00 00 00 11 00 00 00 00 00 00 00
        0f0  12 00 00 00 00 00 00 00 09 00 00 00 0c 00 00 00
        100  02 00 00 00 03 7a 03 7a 08 00 00 00 00 00 00 00
        150  01 23 45 67 89 ab cd ef 01 23 45 67 89 ab cd ef
        170  00 00 00 00 00 00 00 00 00 01 00 00 2e 78 c1 86
        180  6b 53 50 bc b7 c2 bf 51 00 00 00 00 00 00 00 00
        """)
    static let rootDirectory = dump(
        512,
        """
        000  49 4e 4f 44 45 30 31 00 6b 44 d0 49 ff ff 01 00
        020  38 01 00 00 00 00 00 00 ed 41 03 00 11 00 00 00
        030  5a 7f 01 6b 00 00 00 00 5a 7f 01 6b 00 00 00 00
        040  5a 7f 01 6b 00 00 00 00 00 00 00 00 00 00 00 00
        050  11 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        060  6b 44 d0 49 00 00 00 00 00 00 00 00 00 00 00 00
        070  00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00
        080  5e 86 13 9c 63 03 00 00 00 00 00 00 00 00 00 00
        0c0  38 01 00 00 00 00 00 00 11 00 00 00 00 00 00 00
        0d0  10 00 01 02 2e 00 00 00 11 00 00 00 00 00 00 00
        0e0  10 00 02 02 2e 2e 00 00 61 52 00 00 00 00 00 00
        0f0  18 01 0a 02 6c 6f 73 74 2b 66 6f 75 6e 64 00 00
        """)
    static let localAlloc = dump(
        512,
        """
        000  49 4e 4f 44 45 30 31 00 6b 44 d0 49 ff ff 12 00
        020  00 00 00 00 00 00 00 00 a4 81 01 00 d1 00 00 00
        030  5a 7f 01 6b 00 00 00 00 5a 7f 01 6b 00 00 00 00
        040  5a 7f 01 6b 00 00 00 00 00 00 00 00 00 00 00 00
        050  22 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        060  6b 44 d0 49 00 00 00 00 00 00 00 00 00 00 00 00
        080  24 9f 37 fe 19 07 00 00 00 00 00 00 00 00 00 00
        0c0  00 00 00 00 30 01 00 00 00 00 00 00 00 00 00 00
        """)
    static let truncateLog = dump(
        512,
        """
        000  49 4e 4f 44 45 30 31 00 6b 44 d0 49 ff ff 14 00
        020  00 00 00 00 00 00 00 00 a4 81 01 00 11 08 00 00
        030  5a 7f 01 6b 00 00 00 00 5a 7f 01 6b 00 00 00 00
        040  5a 7f 01 6b 00 00 00 00 00 00 00 00 00 00 00 00
        050  24 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        060  6b 44 d0 49 00 00 00 00 00 00 00 00 00 00 00 00
        080  c9 23 6b 5a 44 00 00 00 00 00 00 00 00 00 00 00
        0c0  27 00 00 00
        """)
    static let journal = dump(
        512,
        """
        000  49 4e 4f 44 45 30 31 00 6b 44 d0 49 ff ff 10 00
        010  00 00 00 00 00 04 00 00 00 00 00 00 00 00 00 00
        020  00 00 40 00 00 00 00 00 a4 81 01 00 11 01 00 00
        030  5a 7f 01 6b 00 00 00 00 5a 7f 01 6b 00 00 00 00
        040  5a 7f 01 6b 00 00 00 00 00 00 00 00 00 00 00 00
        050  20 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        060  6b 44 d0 49 00 00 00 00 00 00 00 00 00 00 00 00
        080  57 4c 09 cd 49 03 00 00 00 00 00 00 00 00 00 00
        0c0  00 00 13 00 01 00 00 00 00 00 00 00 00 00 00 00
        0d0  00 00 00 00 00 04 00 00 28 02 00 00 00 00 00 00
        """)
    static let inodeGroup = dump(
        512,
        """
        000  47 52 4f 55 50 30 31 00 c0 01 10 01 f6 00 00 00
        010  6b 44 d0 49 00 00 00 00 00 00 00 00 00 00 00 00
        020  14 00 00 00 00 00 00 00 10 00 00 00 00 00 00 00
        030  56 ef 3f 30 90 01 00 00 00 00 00 00 00 00 00 00
        040  ff ff ff 03 00 00 00 00 00 00 00 00 00 00 00 00
        """)
    static let slotGroup = dump(
        512,
        """
        000  47 52 4f 55 50 30 31 00 00 01 00 08 fe 07 00 00
        010  6b 44 d0 49 00 00 00 00 00 00 00 00 00 00 00 00
        020  1e 00 00 00 00 00 00 00 60 52 00 00 00 00 00 00
        030  e2 19 f1 b8 f4 01 00 00 00 00 00 00 00 00 00 00
        040  03 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        """)

    static func parameters() throws -> VolumeParameters {
        try reading(superblock) { try Superblock(decoding: $0).parameters }
    }
}

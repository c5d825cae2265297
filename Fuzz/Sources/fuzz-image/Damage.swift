import EngineSimulation
import LayoutKit
import OCFS2Layout

/// One change of a metadata block.
///
///     offset  size  meaning
///     0       2     which of the metadata blocks
///     2       2     where in the block
///     4       1     what: low nibble the kind of change, bit 7: leave the block's check wrong
///     5       3     with what
struct Damage {
    static let byteCount = 8

    private let block: Int
    private let place: Int
    private let kind: UInt8
    private let leavesCheck: Bool
    private let argument: UInt32

    init(_ input: Slice<UnsafeRawBufferPointer>) {
        let bytes = Array(input)
        block = Int(bytes[0]) | Int(bytes[1]) << 8
        place = Int(bytes[2]) | Int(bytes[3]) << 8
        kind = bytes[4] & 0x0f
        leavesCheck = bytes[4] & 0x80 != 0
        argument = UInt32(bytes[5]) | UInt32(bytes[6]) << 8 | UInt32(bytes[7]) << 16
    }

    func apply(to device: MemoryDevice, of image: BaseImage) {
        let size = image.parameters.blockSize
        let number = image.metadata[block % image.metadata.count]
        var bytes = device.bytes(at: number * UInt64(size), count: size)
        let other = image.metadata[Int(argument) % image.metadata.count]
        // Most fields that matter lie at the start.
        let at = (argument & 1 == 0 ? place % 256 : place) % size & ~7
        bytes.withUnsafeMutableBytes { block in
            switch kind {
            case 0: block[U8(offset: place % size)] = UInt8(truncatingIfNeeded: argument)
            case 1: block[U8(offset: place % size)] ^= 1 << UInt8(argument & 7)
            case 2: block[LE16(offset: at + Int(argument & 6))] = UInt16(truncatingIfNeeded: argument >> 3)
            case 3: block[LE32(offset: at + Int(argument & 4))] = argument >> 3
            case 4: block[LE64(offset: at)] = UInt64(argument >> 3)
            // A pointer to another metadata block, or to itself.
            case 5: block[LE64(offset: at)] = other
            case 6: block[LE64(offset: at)] = number
            case 7: block[LE64(offset: at)] = image.parameters.blockCount &- UInt64(argument & 0xff)
            case 8: block[LE64(offset: at)] = .max >> UInt64(argument >> 3 & 63)
            case 9: block[LE32(offset: at + Int(argument & 4))] = .max >> (argument >> 3 & 31)
            case 10: block[LE16(offset: at + Int(argument & 6))] = .max >> UInt16(argument >> 3 & 15)
            case 11: block[LE32(offset: at + Int(argument & 4))] &+= argument >> 3 & 7 &- 3
            // Another block's bytes, from here on or altogether.
            case 12, 13:
                let from = kind == 12 ? at : 0
                block.part(offset: from, count: size - from).copyBytes(
                    from: device.bytes(at: other * UInt64(size) + UInt64(from), count: size - from))
            case 14: block.part(offset: at, count: min(size - at, 64)).clear(count: min(size - at, 64))
            default: block.part(offset: at, count: size - at).clear(count: size - at)
            }
            if !leavesCheck, image.parameters.features.hasMetaecc { Self.seal(block) }
        }
        bytes.withUnsafeBytes { device.write(at: number * UInt64(size), $0) }
    }

    /// Makes the check right, so that what lies behind it is reached.
    private static func seal(_ block: UnsafeMutableRawBufferPointer) {
        let offset: Int
        switch FixedSignature(rawValue: block[LE64(offset: 0)]) {
        case .superblock, .dinode: offset = BlockCheck.dinodeOffset
        case .extentBlock, .indexRoot, .indexLeaf: offset = BlockCheck.treeOffset
        case .groupDescriptor: offset = BlockCheck.groupOffset
        case .xattrBlock: offset = BlockCheck.xattrBlockOffset
        case .refcountBlock: offset = BlockCheck.refcountOffset
        default:
            guard block[LE64(offset: block.count - 64)] == FixedSignature.directoryTrailer.rawValue else { return }
            offset = BlockCheck.trailerOffset(blockSize: block.count)
        }
        BlockCheck.store(into: block, at: offset)
    }
}

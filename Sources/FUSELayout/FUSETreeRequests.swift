package import LayoutKit

/// The data of FORGET: by how much the node's lookup count falls. Spec: fuse 3, 4.
package struct FUSEForgetRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    private static let countField = LE64(offset: 0)

    package var lookupCount: UInt64

    package init(lookupCount: UInt64) {
        self.lookupCount = lookupCount
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        lookupCount = bytes[Self.countField]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Self.countField] = lookupCount
    }
}

/// The data of BATCH_FORGET: a count, then (node, lookup count) pairs. Spec: fuse 4.
package struct FUSEBatchForgetRequest: Equatable, Sendable {
    package struct Item: Equatable, Sendable {
        package static let byteCount = 16

        package var node: UInt64
        package var lookupCount: UInt64

        package init(node: UInt64, lookupCount: UInt64) {
            self.node = node
            self.lookupCount = lookupCount
        }
    }

    private static let headByteCount = 8

    package var items: [Item]

    package init(items: [Item]) {
        self.items = items
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.headByteCount, of: bytes)
        let count = Int(bytes[LE32(offset: 0)])
        let available = (bytes.count - Self.headByteCount) / Item.byteCount
        guard count <= available else {
            throw .badLength(of: "list of nodes", found: count, expected: "at most \(available)")
        }
        items = (0..<count).map { index in
            let start = Self.headByteCount + index * Item.byteCount
            return Item(node: bytes[LE64(offset: start)], lookupCount: bytes[LE64(offset: start + 8)])
        }
    }

    package var byteCount: Int { Self.headByteCount + items.count * Item.byteCount }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[LE32(offset: 0)] = UInt32(items.count)
        out[LE32(offset: 4)] = 0
        for (index, item) in items.enumerated() {
            let start = Self.headByteCount + index * Item.byteCount
            out[LE64(offset: start)] = item.node
            out[LE64(offset: start + 8)] = item.lookupCount
        }
    }
}

/// The data of INTERRUPT: the request that somebody no longer waits for. Spec: fuse 3, 7.
package struct FUSEInterruptRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    private static let uniqueField = LE64(offset: 0)

    package var unique: UInt64

    package init(unique: UInt64) {
        self.unique = unique
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        unique = bytes[Self.uniqueField]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Self.uniqueField] = unique
    }
}

/// The reply to STATFS. Spec: fuse 4.
package struct FUSEStatfsReply: FixedLayout, Equatable, Sendable {
    package static let byteCount = 80

    private enum Field {
        static let blocks = LE64(offset: 0)
        static let blocksFree = LE64(offset: 8)
        static let blocksAvailable = LE64(offset: 16)
        static let files = LE64(offset: 24)
        static let filesFree = LE64(offset: 32)
        static let blockSize = LE32(offset: 40)
        static let nameLength = LE32(offset: 44)
        static let fragmentSize = LE32(offset: 48)
    }

    /// Units of ``fragmentSize``.
    package var blocks: UInt64
    package var blocksFree: UInt64
    package var blocksAvailable: UInt64
    package var files: UInt64
    package var filesFree: UInt64
    package var blockSize: UInt32
    package var nameLengthMax: UInt32
    package var fragmentSize: UInt32

    package init(
        blocks: UInt64, blocksFree: UInt64, blocksAvailable: UInt64, files: UInt64, filesFree: UInt64,
        blockSize: UInt32, nameLengthMax: UInt32 = 255, fragmentSize: UInt32
    ) {
        self.blocks = blocks
        self.blocksFree = blocksFree
        self.blocksAvailable = blocksAvailable
        self.files = files
        self.filesFree = filesFree
        self.blockSize = blockSize
        self.nameLengthMax = nameLengthMax
        self.fragmentSize = fragmentSize
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        blocks = bytes[Field.blocks]
        blocksFree = bytes[Field.blocksFree]
        blocksAvailable = bytes[Field.blocksAvailable]
        files = bytes[Field.files]
        filesFree = bytes[Field.filesFree]
        blockSize = bytes[Field.blockSize]
        nameLengthMax = bytes[Field.nameLength]
        fragmentSize = bytes[Field.fragmentSize]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out.clear(count: Self.byteCount)
        out[Field.blocks] = blocks
        out[Field.blocksFree] = blocksFree
        out[Field.blocksAvailable] = blocksAvailable
        out[Field.files] = files
        out[Field.filesFree] = filesFree
        out[Field.blockSize] = blockSize
        out[Field.nameLength] = nameLengthMax
        out[Field.fragmentSize] = fragmentSize
    }
}

/// One entry in the reply to READDIR. Spec: fuse 4.
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 8 | inode number |
/// | 8 | 8 | cookie: where the next entry is read from |
/// | 16 | 4 | length of the name |
/// | 20 | 4 | type, DT_* |
/// | 24 | n | name without NUL, padded to 8 bytes |
package struct FUSEDirectoryEntry: Equatable, Sendable {
    package enum EntryType: UInt32, Sendable {
        case unknown = 0
        case fifo = 1
        case characterDevice = 2
        case directory = 4
        case blockDevice = 6
        case regular = 8
        case symlink = 10
        case socket = 12
    }

    private enum Field {
        static let inode = LE64(offset: 0)
        static let cookie = LE64(offset: 8)
        static let nameLength = LE32(offset: 16)
        static let type = LE32(offset: 20)
        static let name = 24
    }

    package var inode: UInt64
    package var nextCookie: UInt64
    package var type: EntryType
    package var name: [UInt8]

    package init(inode: UInt64, nextCookie: UInt64, type: EntryType, name: [UInt8]) {
        self.inode = inode
        self.nextCookie = nextCookie
        self.type = type
        self.name = name
    }

    /// With the padding.
    package var byteCount: Int { Self.byteCount(nameByteCount: name.count) }

    /// Bytes of an entry with a name of `nameByteCount` bytes, with the padding.
    package static func byteCount(nameByteCount: Int) -> Int { (Field.name + nameByteCount + 7) & ~7 }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        name.withUnsafeBytes {
            Self.encode(inode: inode, nextCookie: nextCookie, rawType: type.rawValue, name: $0, into: out)
        }
    }

    /// Writes an entry without making one first: a listing has thousands.
    package static func encode(
        inode: UInt64, nextCookie: UInt64, rawType: UInt32, name: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) {
        out.clear(count: byteCount(nameByteCount: name.count))
        out[Field.inode] = inode
        out[Field.cookie] = nextCookie
        out[Field.nameLength] = UInt32(name.count)
        out[Field.type] = rawType
        out.part(offset: Field.name, count: name.count).copyMemory(from: name)
    }
}

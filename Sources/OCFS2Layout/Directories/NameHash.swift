import LayoutKit

/// The two hashes of a name in an indexed directory. Spec: ocfs2-disk 8.5.
package struct NameHash: Hashable, Sendable, Comparable {
    /// Chooses the cluster of the index.
    package var major: UInt32
    /// Chooses the block inside the cluster.
    package var minor: UInt32

    package init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }

    package static func < (left: NameHash, right: NameHash) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    /// The hash of `.` and of `..`.
    package static let dots = NameHash(major: 0, minor: 0)

    /// The hash of a name on the volume whose superblock has this seed. The third seed and the UUID's hash, which fill
    /// up the four words that the algorithm starts from, have no influence.
    package init(_ name: UnsafeRawBufferPointer, seed: IndexSeed) {
        if (name.count == 1 && name[0] == 0x2e) || (name.count == 2 && name[0] == 0x2e && name[1] == 0x2e) {
            self = .dots
            return
        }
        var high = seed.first, low = seed.second
        var start = 0
        while start < name.count {
            Self.mix(Self.pack(name, from: start), &high, &low)
            start += 16
        }
        self.init(major: high, minor: low)
    }

    /// 16 rounds of TEA.
    private static func mix(_ input: (UInt32, UInt32, UInt32, UInt32), _ high: inout UInt32, _ low: inout UInt32) {
        var sum: UInt32 = 0
        var b0 = high, b1 = low
        for _ in 0..<16 {
            sum &+= 0x9e37_79b9
            b0 &+= ((b1 << 4) &+ input.0) ^ (b1 &+ sum) ^ ((b1 >> 5) &+ input.1)
            b1 &+= ((b0 << 4) &+ input.2) ^ (b0 &+ sum) ^ ((b0 >> 5) &+ input.3)
        }
        high &+= b0
        low &+= b1
    }

    /// Four words from up to 16 bytes; what is missing is padded with the length. Bytes count with their sign.
    private static func pack(
        _ name: UnsafeRawBufferPointer, from start: Int
    ) -> (UInt32, UInt32, UInt32, UInt32) {
        let remaining = UInt32(truncatingIfNeeded: name.count - start)
        var pad = remaining | remaining << 8
        pad |= pad << 16
        return (
            word(name, start, pad), word(name, start + 4, pad), word(name, start + 8, pad), word(name, start + 12, pad)
        )
    }

    @inline(__always)
    private static func word(_ name: UnsafeRawBufferPointer, _ start: Int, _ pad: UInt32) -> UInt32 {
        var word = pad
        for index in start..<max(start, min(start + 4, name.count)) {
            word = UInt32(bitPattern: Int32(Int8(bitPattern: name[U8(offset: index)]))) &+ (word << 8)
        }
        return word
    }
}

/// The names in orphan directories. Spec: ocfs2-disk 12.1.
package enum OrphanName {
    /// Before the digits while an appending direct write is under way.
    package static let directIOPrefix = "dio-"

    /// 16 lower-case hexadecimal digits.
    package static func name(inode: UInt64, isDirectIO: Bool = false) -> String {
        let digits = String(inode, radix: 16)
        return (isDirectIO ? directIOPrefix : "") + String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// What a name says; nil for other names.
    package static func decode(_ name: UnsafeRawBufferPointer) -> (inode: UInt64, isDirectIO: Bool)? {
        let isDirectIO = name.count == 20
        guard isDirectIO || name.count == 16 else { return nil }
        if isDirectIO, !name.prefix(4).elementsEqual(directIOPrefix.utf8) { return nil }
        var inode: UInt64 = 0
        for byte in name.suffix(16) {
            switch byte {
            case 0x30...0x39: inode = inode << 4 | UInt64(byte - 0x30)
            case 0x61...0x66: inode = inode << 4 | UInt64(byte - 0x61 + 10)
            default: return nil
            }
        }
        return (inode, isDirectIO)
    }
}

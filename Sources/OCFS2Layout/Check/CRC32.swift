/// CRC-32, reflected, polynomial 0xedb88320, eight bytes a step by tables. Nothing is inverted here: the block check
/// starts with all ones and keeps the result as it is. Spec: ocfs2-disk 15.
package enum CRC32 {
    /// Carries `crc` on over `bytes`.
    package static func update(_ crc: UInt32, with bytes: UnsafeRawBufferPointer) -> UInt32 {
        tables.withUnsafeBufferPointer { table in
            var crc = crc
            var index = 0
            let count = bytes.count
            while index &+ 8 <= count {
                let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
                crc = step(word ^ UInt64(crc), table)
                index &+= 8
            }
            while index < count {
                crc = table[Int(UInt8(truncatingIfNeeded: crc) ^ bytes[index])] ^ (crc >> 8)
                index &+= 1
            }
            return crc
        }
    }

    /// Carries `crc` on over eight zero bytes: what a check field counts as.
    static func updateOverZeroField(_ crc: UInt32) -> UInt32 {
        tables.withUnsafeBufferPointer { step(UInt64(crc), $0) }
    }

    /// Eight bytes at once: table k holds the effect of a byte followed by k zero bytes.
    @inline(__always)
    private static func step(_ word: UInt64, _ table: UnsafeBufferPointer<UInt32>) -> UInt32 {
        var crc = table[0x700 | Int(truncatingIfNeeded: word & 0xff)]
        crc ^= table[0x600 | Int(truncatingIfNeeded: (word >> 8) & 0xff)]
        crc ^= table[0x500 | Int(truncatingIfNeeded: (word >> 16) & 0xff)]
        crc ^= table[0x400 | Int(truncatingIfNeeded: (word >> 24) & 0xff)]
        crc ^= table[0x300 | Int(truncatingIfNeeded: (word >> 32) & 0xff)]
        crc ^= table[0x200 | Int(truncatingIfNeeded: (word >> 40) & 0xff)]
        crc ^= table[0x100 | Int(truncatingIfNeeded: (word >> 48) & 0xff)]
        return crc ^ table[Int(truncatingIfNeeded: word >> 56)]
    }

    /// Eight tables of 256 entries, one after the other.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var crc = UInt32(byte)
            for _ in 0..<8 {
                crc = (crc >> 1) ^ (crc & 1 == 1 ? 0xedb8_8320 : 0)
            }
            tables[byte] = crc
        }
        for entry in 256..<tables.count {
            let before = tables[entry - 256]
            tables[entry] = tables[Int(before & 0xff)] ^ (before >> 8)
        }
        return tables
    }()
}

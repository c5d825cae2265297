internal import CYoke

/// CRC-32C (Castagnoli): reflected polynomial 0x82f63b78, initial value and final inversion all ones. RFC 3720, B.4.
package enum CRC32C {
    /// The checksum of `bytes`; by SSE 4.2 where the processor has it.
    package static func checksum(of bytes: UnsafeRawBufferPointer) -> UInt32 {
        if hasInstruction {
            return ~yoke_crc32c_continue(.max, bytes.baseAddress, bytes.count)
        }
        return ~continued(.max, over: bytes)
    }

    /// The same without the instruction.
    package static func checksumByTable(of bytes: UnsafeRawBufferPointer) -> UInt32 {
        ~continued(.max, over: bytes)
    }

    private static let hasInstruction = yoke_has_crc32c_instruction() != 0

    /// Table `k` holds, for each byte, the checksum of that byte followed by `k` zero bytes: eight tables take eight
    /// bytes a step.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for index in 0..<256 {
            var value = UInt32(index)
            for _ in 0..<8 { value = (value >> 1) ^ (value & 1 == 0 ? 0 : 0x82f6_3b78) }
            tables[index] = value
        }
        for index in 256..<tables.count {
            let before = tables[index - 256]
            tables[index] = (before >> 8) ^ tables[Int(before & 0xff)]
        }
        return tables
    }()

    private static func continued(_ start: UInt32, over bytes: UnsafeRawBufferPointer) -> UInt32 {
        tables.withUnsafeBufferPointer { table in
            var crc = start
            var offset = 0
            while offset + 8 <= bytes.count {
                let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian ^ UInt64(crc)
                crc = 0
                for index in 0..<8 {
                    crc ^= table[(7 - index) * 256 + Int((word >> UInt64(8 * index)) & 0xff)]
                }
                offset += 8
            }
            while offset < bytes.count {
                crc = (crc >> 8) ^ table[Int((crc ^ UInt32(bytes[offset])) & 0xff)]
                offset += 1
            }
            return crc
        }
    }
}

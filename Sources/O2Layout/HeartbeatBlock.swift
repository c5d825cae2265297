package import LayoutKit

/// One node's sign of life on the disk. Spec: o2cb 6.2.
///
/// | offset | size | meaning (little-endian) |
/// |---|---|---|
/// | 0 | 8 | sequence: wall-clock seconds, never 0 |
/// | 8 | 1 | node |
/// | 12 | 4 | checksum over the block |
/// | 16 | 8 | generation of this start of the region; 0: left cleanly |
/// | 24 | 4 | dead time in ms |
///
/// The rest of the block (one logical sector) is zero.
package struct HeartbeatBlock: Equatable, Sendable {
    /// The part that means something.
    package static let usedByteCount = 28

    private enum Field {
        static let sequence = LE64(offset: 0)
        static let node = U8(offset: 8)
        static let checksum = LE32(offset: 12)
        static let generation = LE64(offset: 16)
        static let deadTime = LE32(offset: 24)
    }

    package var sequence: UInt64
    package var node: UInt8
    package var generation: UInt64
    package var deadTimeMilliseconds: UInt32

    package init(sequence: UInt64, node: UInt8, generation: UInt64, deadTimeMilliseconds: UInt32) {
        self.sequence = sequence
        self.node = node
        self.generation = generation
        self.deadTimeMilliseconds = deadTimeMilliseconds
    }

    /// Reads the fields whatever the checksum says: the baseline of a region is taken so. Spec: o2cb 7.2.
    package init(unchecked bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.usedByteCount, of: bytes)
        sequence = bytes[Field.sequence]
        node = bytes[Field.node]
        generation = bytes[Field.generation]
        deadTimeMilliseconds = bytes[Field.deadTime]
    }

    /// Errors: ``LayoutError/badChecksum(of:found:expected:)``. `bytes` is the whole block.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try self.init(unchecked: bytes)
        let found = bytes[Field.checksum]
        let expected = Self.checksum(of: bytes)
        guard found == expected else {
            throw .badChecksum(of: "heartbeat block", found: UInt64(found), expected: UInt64(expected))
        }
    }

    /// Fills the whole block.
    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out.initializeMemory(as: UInt8.self, repeating: 0)
        out[Field.sequence] = sequence
        out[Field.node] = node
        out[Field.generation] = generation
        out[Field.deadTime] = deadTimeMilliseconds
        out[Field.checksum] = Self.checksum(of: UnsafeRawBufferPointer(out))
    }

    private static func checksum(of bytes: UnsafeRawBufferPointer) -> UInt32 {
        let stored = Field.checksum.offset..<Field.checksum.offset + LE32.byteCount
        return ClusterCRC.compute(
            bytes.indices.lazy.map { stored.contains($0) ? 0 : bytes[$0] })
    }
}

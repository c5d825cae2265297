internal import CYoke
internal import Glibc

/// One system call of a disk operation, by value: all that a worker thread or the ring needs to know.
///
/// Sendable although it carries an address: the operation's slot keeps the memory alive, and nobody else touches it,
/// until the result came back.
struct DiskCall: @unchecked Sendable {
    enum Opcode: UInt8 {
        case read, write, writeDurable
        /// fdatasync
        case synchronize
        case punchHole, zeroRange
        /// The BLKDISCARD ioctl
        case discardBlocks
    }

    var opcode: Opcode
    var descriptor: Int32
    var address: UnsafeMutableRawPointer?
    var byteCount: Int
    var offset: UInt64
    /// Slot and generation of the operation.
    var cookie: Cookie
    /// Too short to be worth another thread: a copy within memory.
    var isImmediate = false

    /// Makes the call and waits for it. Bytes transferred (0 for calls that transfer none) or the negative error number.
    func perform() -> Int {
        retryingInterrupted {
            switch opcode {
            case .read: yoke_read(descriptor, address, byteCount, offset)
            case .write: yoke_write(descriptor, address, byteCount, offset, 0)
            case .writeDurable: yoke_write(descriptor, address, byteCount, offset, YOKE_WRITE_DURABLE)
            case .synchronize: Int(fdatasync(descriptor))
            case .punchHole: allocate(mode: YOKE_PUNCH_HOLE)
            case .zeroRange: allocate(mode: YOKE_ZERO_RANGE)
            case .discardBlocks: Int(yoke_block_discard(descriptor, offset, UInt64(byteCount)))
            }
        }
    }

    private func allocate(mode: Int32) -> Int {
        Int(fallocate(descriptor, mode, off_t(offset), off_t(byteCount)))
    }
}

/// What a ``DiskCall`` returned.
struct DiskCallResult: Sendable {
    var cookie: Cookie
    /// Bytes, or the negative error number.
    var value: Int
}

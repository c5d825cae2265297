internal import EngineKit
internal import Glibc

/// The operations that are under way on all disks of a reactor, and the steps of each.
///
///     write:        [flushBefore] -> transfer ... (short transfers go on) -> done
///     read:         transfer ... -> done
///     flush:        synchronize -> done
///     discard:      discard -> done
///     writeZeroes:  [punchHole] -> [zeroRange] -> transfer of zeroes ... -> done
///
/// Each step is one ``DiskCall``, made by the ring or by a worker; the table does not care which. A slot costs no
/// allocation once the table has grown. A result whose generation is not the slot's is a bug, since a slot is only
/// freed by its result.
struct DiskOperations {
    private enum Step { case flushBefore, transfer, synchronize, discard, punchHole, zeroRange, zeroTransfer }

    private struct Slot {
        var generation: UInt32 = 0
        var disk: DiskFile?
        var request = DiskRequest(token: 0, kind: .flush)
        var step = Step.synchronize
        var done = 0
        /// O_DIRECT was refused for this request.
        var isBuffered = false
        /// Repetitions that are left when the kernel says EAGAIN.
        var retriesLeft = DiskOperations.retriesMax
    }

    enum Outcome {
        case next(DiskCall)
        case completed(DiskFile, token: UInt64, errno: Int32)
    }

    /// Operations under way at most; more are refused with ENOBUFS.
    static let operationsMax = 1 << 16
    private static let retriesMax = 100
    /// Longest copy to or from a memory filesystem that the reactor's thread makes itself: about 30 us. io_uring would
    /// give each to a kernel thread (9 us for 4 KiB instead of 1).
    private static let immediateByteCountMax = 256 << 10
    /// Read-only zeroes for all disks of the process.
    private static let zeroes: ZeroPages = ZeroPages()

    private var slots: [Slot] = []
    private var vacant: [Int] = []

    /// Operations under way.
    private(set) var count = 0

    init(slotCount: Int) {
        slots = Array(repeating: Slot(), count: slotCount)
        vacant = Array((0..<slotCount).reversed())
    }

    /// Checks a request against its disk; 0 or the error number it is refused with.
    static func check(_ request: DiskRequest, _ disk: DiskFile) -> Int32 {
        if disk.isClosed { return EBADF }
        if case .flush = request.kind { return 0 }
        precondition(
            request.offset % 512 == 0 && request.byteCount % 512 == 0 && request.byteCount > 0,
            "disk request at \(request.offset)+\(request.byteCount) is not made of sectors")
        guard request.offset <= disk.capacity, UInt64(request.byteCount) <= disk.capacity - request.offset else {
            return EIO
        }
        switch request.kind {
        case .read:
            precondition(request.data?.count == request.byteCount, "read without a place for its data")
            return 0
        case .write:
            precondition(request.data?.count == request.byteCount, "write without its data")
            return disk.access == .readWrite ? 0 : EROFS
        case .flush: return 0
        case .discard, .writeZeroes: return disk.access == .readWrite ? 0 : EROFS
        }
    }

    /// Takes up a checked request; its first call, or nil when too many are under way.
    mutating func begin(_ request: DiskRequest, _ disk: DiskFile) -> DiskCall? {
        guard count < Self.operationsMax else { return nil }
        let index: Int
        if let free = vacant.popLast() {
            index = free
        } else {
            index = slots.count
            slots.append(Slot())
        }
        count += 1
        disk.operationsUnderWay += 1
        slots[index].disk = disk
        slots[index].request = request
        slots[index].done = 0
        slots[index].isBuffered = false
        slots[index].retriesLeft = Self.retriesMax
        slots[index].step =
            switch request.kind {
            case .read: .transfer
            case .write(let flushBefore, _): flushBefore ? .flushBefore : .transfer
            case .flush: .synchronize
            case .discard: .discard
            case .writeZeroes(let mayUnmap): mayUnmap ? .punchHole : .zeroRange
            }
        return nextCall(index, disk)
    }

    /// Takes the result of a call: the next call of that operation, or its end.
    mutating func take(_ result: DiskCallResult) -> Outcome {
        let index = result.cookie.index
        guard slots[index].generation == result.cookie.generation, let disk = slots[index].disk else {
            preconditionFailure("result for disk operation \(index) that is not under way")
        }
        if let code = advance(index, disk, result.value) {
            let token = slots[index].request.token
            release(index, disk)
            return .completed(disk, token: token, errno: code)
        }
        return .next(nextCall(index, disk))
    }

    private mutating func release(_ index: Int, _ disk: DiskFile) {
        slots[index].generation &+= 1
        slots[index].disk = nil
        slots[index].request.data = nil
        vacant.append(index)
        count -= 1
        disk.operationsUnderWay -= 1
    }
}

// MARK: Steps

extension DiskOperations {
    /// Moves an operation on by the result of its call: nil to go on, else the error number it ends with.
    private mutating func advance(_ index: Int, _ disk: DiskFile, _ value: Int) -> Int32? {
        if value == -Int(EAGAIN) || value == -Int(EINTR), slots[index].retriesLeft > 0 {
            slots[index].retriesLeft -= 1
            return nil
        }
        switch slots[index].step {
        case .flushBefore:
            let code = Self.flushResult(value)
            slots[index].step = .transfer
            return code == 0 ? nil : code
        case .synchronize:
            return Self.flushResult(value)
        case .discard:
            return value >= 0 ? 0 : Int32(-value)
        case .punchHole:
            return zeroingEnded(index, value, otherwise: .zeroRange)
        case .zeroRange:
            return zeroingEnded(index, value, otherwise: .zeroTransfer)
        case .transfer, .zeroTransfer:
            return transferEnded(index, disk, value)
        }
    }

    /// A device that has nothing to flush has nothing to lose.
    private static func flushResult(_ value: Int) -> Int32 {
        switch value {
        case -Int(EINVAL), -Int(EROFS), -Int(ENOSYS), -Int(EOPNOTSUPP): 0
        case 0...: 0
        default: Int32(-value)
        }
    }

    private mutating func zeroingEnded(_ index: Int, _ value: Int, otherwise step: Step) -> Int32? {
        switch value {
        case 0...: return 0
        case -Int(EOPNOTSUPP), -Int(EINVAL), -Int(ENOSYS), -Int(ENODEV), -Int(ENOTTY):
            slots[index].step = step
            return nil
        default: return Int32(-value)
        }
    }

    private mutating func transferEnded(_ index: Int, _ disk: DiskFile, _ value: Int) -> Int32? {
        if value == -Int(EINVAL), !slots[index].isBuffered, disk.isDirect {
            slots[index].isBuffered = true
            return nil
        }
        guard value >= 0 else { return Int32(-value) }
        // Nothing read: the file was cut behind our back. Nothing written: as unexpected.
        guard value > 0 else { return EIO }
        slots[index].done += value
        return slots[index].done >= slots[index].request.byteCount ? 0 : nil
    }

    private func nextCall(_ index: Int, _ disk: DiskFile) -> DiskCall {
        let request = slots[index].request
        var call = DiskCall(
            opcode: .synchronize, descriptor: disk.bufferedDescriptor, address: nil, byteCount: request.byteCount,
            offset: request.offset, cookie: Cookie(kind: .disk, index: index, generation: slots[index].generation))
        switch slots[index].step {
        case .flushBefore, .synchronize: break
        case .discard: call.opcode = disk.isBlockDevice ? .discardBlocks : .punchHole
        case .punchHole: call.opcode = .punchHole
        case .zeroRange: call.opcode = .zeroRange
        case .transfer: prepareTransfer(&call, index, disk)
        case .zeroTransfer: prepareZeroTransfer(&call, index, disk)
        }
        switch call.opcode {
        case .read, .write, .writeDurable, .synchronize:
            call.isImmediate = disk.isInMemory && call.byteCount <= Self.immediateByteCountMax
        case .punchHole, .zeroRange, .discardBlocks: break
        }
        return call
    }

    private func prepareTransfer(_ call: inout DiskCall, _ index: Int, _ disk: DiskFile) {
        let done = slots[index].done
        call.address = slots[index].request.data.map { $0.base + done }
        call.byteCount -= done
        call.offset += UInt64(done)
        var isDurable = false
        switch slots[index].request.kind {
        case .write(_, let forceUnitAccess): isDurable = forceUnitAccess
        case .read, .flush, .discard, .writeZeroes: break
        }
        chooseDescriptor(&call, index, disk)
        if case .read = slots[index].request.kind {
            call.opcode = .read
        } else {
            call.opcode = isDurable || call.descriptor != disk.directDescriptor ? .writeDurable : .write
        }
    }

    private func prepareZeroTransfer(_ call: inout DiskCall, _ index: Int, _ disk: DiskFile) {
        let done = slots[index].done
        call.address = Self.zeroes.base
        call.byteCount = min(call.byteCount - done, Self.zeroes.byteCount)
        call.offset += UInt64(done)
        chooseDescriptor(&call, index, disk)
        call.opcode = call.descriptor == disk.directDescriptor ? .write : .writeDurable
    }

    /// Goes around the page cache when offset, length and memory are aligned as that demands.
    private func chooseDescriptor(_ call: inout DiskCall, _ index: Int, _ disk: DiskFile) {
        guard disk.isDirect, !slots[index].isBuffered else { return }
        let mask = disk.directAlignment - 1
        guard call.offset & mask == 0, UInt64(call.byteCount) & mask == 0,
            UInt(bitPattern: call.address) & (disk.memoryAlignment - 1) == 0
        else { return }
        call.descriptor = disk.directDescriptor
    }
}

/// Zeroes to write from. Never written to, so that every thread may read them.
private final class ZeroPages: @unchecked Sendable {
    let byteCount = 256 << 10
    let base: UnsafeMutableRawPointer

    init() {
        base = .allocate(byteCount: byteCount, alignment: 4096)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }
}

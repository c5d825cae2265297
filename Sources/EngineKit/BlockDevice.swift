/// One operation on a ``BlockDevice``.
package struct BlockTransfer {
    package enum Kind: Equatable, Sendable {
        case read
        /// With `forceUnitAccess` the bytes are on stable storage when the operation completes.
        case write(forceUnitAccess: Bool)
        /// Everything that completed before is on stable storage afterwards.
        case flush
        /// The range may be deallocated; what it reads as afterwards is open.
        case discard
    }

    package var kind: Kind
    /// Bytes from the start of the device, a multiple of the device's sector.
    package var byteOffset: UInt64
    /// Bytes, a multiple of the device's sector; 0 for a flush.
    package var byteCount: Int
    /// Source or destination, `byteCount` long; nil for flush and discard. Held until the completion.
    package var data: IOSlice?

    package init(_ kind: Kind, at byteOffset: UInt64 = 0, byteCount: Int = 0, data: IOSlice? = nil) {
        self.kind = kind
        self.byteOffset = byteOffset
        self.byteCount = byteCount
        self.data = data
    }
}

/// Where a filesystem lives: a file, a block device, or a replicated volume in the same process.
///
/// Belongs to one executor; `submit` and completions run there.
package protocol BlockDevice: AnyObject {
    /// Size in bytes.
    var byteCount: UInt64 { get }
    /// The unit of offsets, lengths and of what a cut of power leaves whole: 512 or 4096 bytes.
    var sectorByteCount: Int { get }
    var isReadOnly: Bool { get }

    /// Begins an operation. The completion gets 0 or an errno; it is never called from inside `submit`.
    func submit(_ transfer: BlockTransfer, _ completion: @escaping (_ errno: Int32) -> Void)
}

/// An operation on a block device failed.
package struct BlockDeviceError: Error, Equatable, Sendable {
    package var errno: Int32

    package init(errno: Int32) {
        self.errno = errno
    }
}

extension BlockDevice {
    /// Carries out all of `transfers` at once, in no order; returns when every one has ended.
    ///
    /// Errors: the errno of the first (by place in the list) that failed.
    package func perform(_ transfers: [BlockTransfer]) async throws(BlockDeviceError) {
        guard !transfers.isEmpty else { return }
        let errno: Int32 = await withUnsafeContinuation { continuation in
            let batch = TransferBatch(count: transfers.count, continuation)
            for (index, transfer) in transfers.enumerated() {
                submit(transfer) { errno in batch.ended(index, errno) }
            }
        }
        guard errno == 0 else { throw BlockDeviceError(errno: errno) }
    }

    package func perform(_ transfer: BlockTransfer) async throws(BlockDeviceError) {
        let errno: Int32 = await withUnsafeContinuation { continuation in
            submit(transfer) { errno in continuation.resume(returning: errno) }
        }
        guard errno == 0 else { throw BlockDeviceError(errno: errno) }
    }

    /// Fills `slice` from `byteOffset` on.
    package func read(_ slice: IOSlice, at byteOffset: UInt64) async throws(BlockDeviceError) {
        try await perform(BlockTransfer(.read, at: byteOffset, byteCount: slice.count, data: slice))
    }

    package func write(
        _ slice: IOSlice, at byteOffset: UInt64, forceUnitAccess: Bool = false
    ) async throws(BlockDeviceError) {
        try await perform(
            BlockTransfer(
                .write(forceUnitAccess: forceUnitAccess), at: byteOffset, byteCount: slice.count, data: slice))
    }

    package func flush() async throws(BlockDeviceError) {
        try await perform(BlockTransfer(.flush))
    }
}

/// Counts the ends of a batch.
private final class TransferBatch {
    private var left: Int
    private var failed: (index: Int, errno: Int32)?
    private let continuation: UnsafeContinuation<Int32, Never>

    init(count: Int, _ continuation: UnsafeContinuation<Int32, Never>) {
        left = count
        self.continuation = continuation
    }

    func ended(_ index: Int, _ errno: Int32) {
        if errno != 0, failed.map({ index < $0.index }) ?? true { failed = (index, errno) }
        left -= 1
        if left == 0 { continuation.resume(returning: failed?.errno ?? 0) }
    }
}

internal import CYoke
internal import EngineKit
internal import Glibc

/// A backing store: a plain file (sparse or preallocated), a loop device or another block device.
///
/// Opened on any thread, then confined to the reactor that its operations are submitted to. Reads and writes go around
/// the page cache where that is possible; where it is not (a filesystem that refuses O_DIRECT, a request that is not
/// aligned to the device's blocks) writes go through the page cache and are durable when they complete, so that a
/// failing device is reported to the write that it concerns.
package final class DiskFile: @unchecked Sendable {
    package enum Access: Sendable { case readOnly, readWrite }

    /// Who else may use the disk.
    package enum Claim: Sendable {
        /// Nobody.
        case exclusive
        /// Other openers of this process that say the same: several volumes with indexed metadata on one device.
        case sharedWithinProcess
        /// Whoever wants; for tools that only look.
        case none
    }

    package let path: String
    package let access: Access
    package let isBlockDevice: Bool
    /// Size in bytes when it was opened, rounded down to a multiple of 512.
    package let capacity: UInt64
    /// Bytes; 512 for a file.
    package let logicalBlockSize: Int
    /// Bytes.
    package let physicalBlockSize: Int
    /// Whether requests that are aligned go around the page cache.
    package var isDirect: Bool { directDescriptor >= 0 }
    package let canDiscard: Bool
    /// Discarded ranges read as zeroes.
    package let discardZeroes: Bool
    /// A file of a memory filesystem, whose transfers are plain copies.
    let isInMemory: Bool
    /// Largest request in bytes that one call should carry.
    package let requestSizeMax = 1 << 20

    /// Gets the completions; held until ``Reactor/close(_:)``.
    package var handler: (any DiskHandler)?
    /// For the owner.
    package var tag: UInt64 = 0

    /// Through the page cache.
    let bufferedDescriptor: Int32
    /// With O_DIRECT; -1 where that is refused.
    let directDescriptor: Int32
    /// Offsets and lengths of direct requests are multiples of it.
    let directAlignment: UInt64
    /// Alignment of memory for direct requests.
    let memoryAlignment: UInt

    // Confined to the reactor's thread.
    var operationsUnderWay = 0
    var isClosed = false

    private var claim: DiskClaim?

    /// Opens and claims a disk. May wait for the device: not for the reactor's thread where that matters.
    ///
    /// Errors: those of open(2); ENOTBLK for something that is neither file nor block device; EBUSY when it is claimed.
    package static func open(
        path: String, access: Access, claim: Claim = .exclusive, direct: Bool = true
    ) throws(SystemError) -> DiskFile {
        let mode = access == .readWrite ? O_RDWR : O_RDONLY
        let descriptor = Glibc.open(path, mode | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError(operation: "open \(path)", code: errno) }
        do throws(SystemError) {
            var held: DiskClaim?
            switch claim {
            case .exclusive: held = try .acquire(descriptor: descriptor, path: path, isShared: false)
            case .sharedWithinProcess: held = try .acquire(descriptor: descriptor, path: path, isShared: true)
            case .none: held = nil
            }
            let geometry = try DiskGeometry(descriptor: descriptor, path: path, mayWrite: access == .readWrite)
            return DiskFile(
                path: path, access: access, descriptor: descriptor, geometry: geometry, claim: held,
                direct: direct ? DirectAccess(path: path, mode: mode, sibling: descriptor, geometry: geometry) : nil)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }

    private init(
        path: String, access: Access, descriptor: Int32, geometry: DiskGeometry, claim: DiskClaim?,
        direct: DirectAccess?
    ) {
        self.path = path
        self.access = access
        self.claim = claim
        isBlockDevice = geometry.isBlockDevice
        capacity = geometry.capacity
        logicalBlockSize = geometry.logicalBlockSize
        physicalBlockSize = geometry.physicalBlockSize
        canDiscard = geometry.canDiscard
        discardZeroes = geometry.discardZeroes
        isInMemory = geometry.isInMemory
        bufferedDescriptor = descriptor
        directDescriptor = direct?.descriptor ?? -1
        directAlignment = UInt64(direct?.offsetAlignment ?? 512)
        memoryAlignment = UInt(direct?.memoryAlignment ?? 512)
    }

    deinit {
        Glibc.close(bufferedDescriptor)
        if directDescriptor >= 0 { Glibc.close(directDescriptor) }
    }

    /// Lets others claim the disk, whoever still holds the object. On the reactor's thread; nothing is under way.
    package func releaseClaim() {
        precondition(operationsUnderWay == 0, "the claim on \(path) is given back while it is used")
        claim = nil
    }

    /// The size now, which a device or file may have changed since it was opened.
    package func currentCapacity() throws(SystemError) -> UInt64 {
        try DiskGeometry.capacity(descriptor: bufferedDescriptor, path: path, isBlockDevice: isBlockDevice)
    }
}

// MARK: Blocking access, for tools and for the time before a reactor runs

extension DiskFile {
    /// Reads `bytes.count` bytes at `offset` and waits. Errors: EIO at the end of the disk.
    package func read(at offset: UInt64, into bytes: UnsafeMutableRawBufferPointer) throws(SystemError) {
        try transfer(.read, at: offset, bytes)
    }

    /// Writes durably at `offset` and waits.
    package func write(at offset: UInt64, _ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        try transfer(.writeDurable, at: offset, UnsafeMutableRawBufferPointer(mutating: bytes))
    }

    private func transfer(
        _ opcode: DiskCall.Opcode, at offset: UInt64, _ bytes: UnsafeMutableRawBufferPointer
    ) throws(SystemError) {
        let operation = "\(opcode == .read ? "read" : "write") \(path) at \(offset)"
        var done = 0
        while done < bytes.count, let base = bytes.baseAddress {
            let call = DiskCall(
                opcode: opcode, descriptor: bufferedDescriptor, address: base + done, byteCount: bytes.count - done,
                offset: offset + UInt64(done), cookie: .ignored)
            let count = call.perform()
            guard count >= 0 else { throw SystemError(operation: operation, code: Int32(-count)) }
            guard count > 0 else { throw SystemError(operation: operation, code: EIO) }
            done += count
        }
    }
}

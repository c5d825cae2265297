internal import CYoke
internal import Glibc

/// What a disk is like, found out when it is opened.
struct DiskGeometry {
    var isBlockDevice: Bool
    var capacity: UInt64
    var logicalBlockSize = 512
    var physicalBlockSize = 4096
    var canDiscard = false
    var discardZeroes = false
    var isInMemory = false

    init(descriptor: Int32, path: String, mayWrite: Bool) throws(SystemError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw SystemError(operation: "fstat \(path)", code: errno) }
        isBlockDevice = yoke_is_block_device(status.st_mode) != 0
        guard isBlockDevice || yoke_is_regular(status.st_mode) != 0 else {
            throw SystemError(operation: "open \(path)", code: ENOTBLK)
        }
        capacity = try Self.capacity(descriptor: descriptor, path: path, isBlockDevice: isBlockDevice)
        if isBlockDevice {
            readDeviceLimits(descriptor: descriptor, device: status.st_rdev)
            canDiscard = canDiscard && mayWrite
        } else {
            physicalBlockSize = min(max(512, Int(status.st_blksize)), 4096)
            // A hole behind the end of the file changes nothing and tells whether there can be holes.
            canDiscard = mayWrite && fallocate(descriptor, YOKE_PUNCH_HOLE, status.st_size, 4096) == 0
            discardZeroes = canDiscard
            isInMemory = yoke_is_in_memory(descriptor) != 0
        }
    }

    /// Size in bytes, rounded down to a multiple of 512.
    static func capacity(descriptor: Int32, path: String, isBlockDevice: Bool) throws(SystemError) -> UInt64 {
        var size: UInt64 = 0
        if isBlockDevice {
            guard yoke_block_device_size(descriptor, &size) == 0 else {
                throw SystemError(operation: "BLKGETSIZE64 \(path)", code: errno)
            }
        } else {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw SystemError(operation: "fstat \(path)", code: errno) }
            size = UInt64(max(0, status.st_size))
        }
        return size & ~511
    }

    private mutating func readDeviceLimits(descriptor: Int32, device: dev_t) {
        var logical: Int32 = 0
        if yoke_block_logical_size(descriptor, &logical) == 0 && logical >= 512 { logicalBlockSize = Int(logical) }
        var physical: UInt32 = 0
        if yoke_block_physical_size(descriptor, &physical) == 0 && physical >= 512 {
            physicalBlockSize = Int(physical)
        }
        // A partition has no queue of its own; its parent directory is the whole disk.
        let directory = "/sys/dev/block/\(yoke_device_major(device)):\(yoke_device_minor(device))"
        let limit =
            Self.number(inFile: "\(directory)/queue/discard_max_bytes")
            ?? Self.number(inFile: "\(directory)/../queue/discard_max_bytes")
        canDiscard = (limit ?? 0) > 0
        // No device promises zeroes after a discard; Linux answers 0 since 4.12.
        discardZeroes = false
    }

    private static func number(inFile path: String) -> UInt64? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            guard count > 0 else { return nil }
            return UInt64(String(decoding: buffer.prefix(count).prefix { $0 > 0x20 }, as: UTF8.self))
        }
    }
}

/// A second descriptor on the same disk that goes around the page cache, and what it demands.
struct DirectAccess {
    var descriptor: Int32
    var offsetAlignment: UInt32
    var memoryAlignment: UInt32

    /// Nil where the filesystem refuses O_DIRECT or the path leads elsewhere meanwhile.
    init?(path: String, mode: Int32, sibling: Int32, geometry: DiskGeometry) {
        let opened = open(path, mode | O_CLOEXEC | YOKE_O_DIRECT)
        guard opened >= 0 else { return nil }
        descriptor = opened
        offsetAlignment = UInt32(geometry.logicalBlockSize)
        memoryAlignment = 512
        var mine = stat()
        var other = stat()
        let isSame =
            fstat(opened, &mine) == 0 && fstat(sibling, &other) == 0
            && (geometry.isBlockDevice
                ? mine.st_rdev == other.st_rdev : mine.st_dev == other.st_dev && mine.st_ino == other.st_ino)
        var memory: UInt32 = 0
        var offset: UInt32 = 0
        let isTold = yoke_direct_alignment(opened, &memory, &offset) == 0
        guard isSame, !isTold || (offset > 0 && offset <= 4096 && memory > 0 && memory <= 4096) else {
            close(opened)
            return nil
        }
        if isTold {
            offsetAlignment = max(512, offset)
            memoryAlignment = memory
        }
    }
}

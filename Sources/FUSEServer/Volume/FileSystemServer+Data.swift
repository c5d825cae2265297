internal import EngineKit
internal import FUSELayout
internal import FileSystem
internal import LayoutKit

// Contents of files. Spec: fuse 4, 9, 22, 23.

/// Flags of open(2) that say that a write is durable when it returns.
private let synchronousFlags: UInt32 = 0o4010000

extension FileSystemServer {
    func read(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSETransferRequest(decoding: data)
        let count = Int(request.size)
        guard count <= ReceiveBuffers.dataByteCountMax else {
            fail(header.unique, ErrorNumber.invalid)
            return
        }
        let isDirect = request.flags & FUSEOpenRequest.Flag.direct != 0
        let isCached = !isDirect && !(handles[request.handle]?.isDirect ?? false)
        let locked = isCached ? record.pages.beginRead(at: request.offset, byteCount: count) : nil
        run(header, record, bytes: count) { [self] () async throws(FileSystemError) in
            defer { if let locked { record.pages.endRead(locked) } }
            let ticket = await record.data.enter(
                byteOffset: request.offset, byteCount: UInt64(count), isWrite: false)
            defer { record.data.leave(ticket) }
            let slice = IOSlice(buffer: pool.take(byteCount: count), offset: 0, count: count)
            // A page of a file with writers may become dirty unseen, by a mapping. Spec: fuse 20.
            let mayBecomeDirty = isCached && policy.isShared && record.writerCount > 0
            let done = try await operations.read(
                record.node, at: request.offset, into: slice, isDirect: isDirect, mayBecomeDirty: mayBecomeDirty)
            statistics.readByteCount += UInt64(done)
            reply(header.unique, payload: slice.part(offset: 0, count: done))
        }
    }

    func write(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSETransferRequest(decoding: data)
        let count = Int(request.size)
        guard data.count - FUSETransferRequest.byteCount == count, count <= ReceiveBuffers.dataByteCountMax else {
            throw .badLength(
                of: "data of a write", found: data.count - FUSETransferRequest.byteCount, expected: "\(count)")
        }
        let isWriteBack = request.writeFlags.contains(.cache)
        let isDirectHandle = !isWriteBack && handles[request.handle]?.isDirect ?? false
        let mode = WriteMode(request, isDirectHandle: isDirectHandle)
        let slice = buffers.takeData(count, pool: pool)
        if isWriteBack { return writeBack(header, record, request, slice) }
        let locked = isDirectHandle ? nil : record.pages.beginWrite(at: request.offset, byteCount: count)
        run(header, record, bytes: count) { [self] () async throws(FileSystemError) in
            defer { if let locked { record.pages.endWrite(locked) } }
            // Where an append lands is only known when it is done: it is ordered against everything.
            let ticket = await record.data.enter(
                byteOffset: mode.appends ? 0 : request.offset, byteCount: mode.appends ? .max : UInt64(count),
                isWrite: true)
            defer { record.data.leave(ticket) }
            try await dropCapability(record)
            let done = try await operations.write(record.node, at: request.offset, slice, mode)
            statistics.writtenByteCount += UInt64(done.byteCount)
            if mode.dropsPrivilegeBits, record.hasPrivilegeBits { await privilegeBitsDropped(record) }
            reply(header.unique, FUSEWriteReply(size: UInt32(done.byteCount)))
            if mode.appends, !isDirectHandle, done.byteOffset != request.offset {
                misplaced(record, byteOffset: request.offset, byteCount: done.byteCount)
            }
        }
    }

    /// Dirty pages of shared mappings.
    private func writeBack(
        _ header: FUSERequestHeader, _ record: Record, _ request: FUSETransferRequest, _ slice: IOSlice
    ) {
        let mode = WriteMode(request, isDirectHandle: false)
        record.pages.beginWriteBack()
        run(header, record, bytes: slice.count) { [self] () async throws(FileSystemError) in
            defer { record.pages.endWriteBack() }
            // While pages are recalled everything else of the file waits for the lock.
            let isFirst = record.pages.isRecalling
            var ticket: UInt64?
            if !isFirst {
                ticket = await record.data.enter(
                    byteOffset: request.offset, byteCount: UInt64(slice.count), isWrite: true, isWriteBack: true)
            }
            defer { if let ticket { record.data.leave(ticket) } }
            do throws(FileSystemError) {
                let done = try await operations.write(record.node, at: request.offset, slice, mode)
                statistics.writtenByteCount += UInt64(done.byteCount)
                reply(header.unique, FUSEWriteReply(size: UInt32(done.byteCount)))
            } catch {
                record.pages.failure = error
                throw error
            }
        }
    }

    /// An append landed elsewhere than the kernel thought: its pages at the thought place are wrong. Spec: fuse 23.
    private func misplaced(_ record: Record, byteOffset: UInt64, byteCount: Int) {
        let notification = FUSENotification.invalidateInode(
            node: record.id, offset: Int64(clamping: byteOffset), length: Int64(max(1, byteCount)))
        sendTicket(notification) { _ in }
    }

    func fallocate(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSEFallocateRequest(decoding: data)
        let mode: MountedVolume.AllocationMode
        switch request.mode {
        case []: mode = .allocate(keepsSize: false)
        case .keepSize: mode = .allocate(keepsSize: true)
        case [.punchHole, .keepSize]: mode = .punchHole
        case .zeroRange: mode = .zero(keepsSize: false)
        case [.zeroRange, .keepSize]: mode = .zero(keepsSize: true)
        default:
            fail(header.unique, ErrorNumber.notSupported)
            return
        }
        let (end, overflow) = request.offset.addingReportingOverflow(request.length)
        guard request.length > 0, !overflow, end <= UInt64(Int64.max) else {
            fail(header.unique, overflow || end > UInt64(Int64.max) ? ErrorNumber.fileTooBig : ErrorNumber.invalid)
            return
        }
        let caller = caller(header)
        run(header, record) { [self] () async throws(FileSystemError) in
            let ticket = await record.data.enter(
                byteOffset: request.offset, byteCount: request.length, isWrite: true)
            defer { record.data.leave(ticket) }
            try await dropPrivileges(record, caller)
            try await operations.allocate(record.node, request.offset..<end, mode)
            acknowledge(header.unique)
        }
    }

    func seek(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSESeekRequest(decoding: data)
        run(header, record) { [self] () async throws(FileSystemError) in
            let target: MountedVolume.SeekTarget = request.whence == .data ? .data : .hole
            let found = try await operations.seek(record.node, from: request.offset, to: target)
            reply(header.unique, FUSESeekReply(offset: found))
        }
    }

    func copyRange(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer, isWide: Bool
    ) throws(LayoutError) {
        let request = try FUSECopyRangeRequest(decoding: data)
        guard let target = nodes.record(request.targetNode) else {
            fail(header.unique, ErrorNumber.stale)
            return
        }
        guard request.flags == 0 else {
            fail(header.unique, ErrorNumber.invalid)
            return
        }
        // The plain reply has 32 bits, of which a page less is used by the kernel's own limit.
        let length = isWide ? request.length : min(request.length, 0x7fff_f000)
        let caller = caller(header)
        nodes.beginUse(target)
        run(header, record) { [self] () async throws(FileSystemError) in
            defer { nodes.endUse(target) }
            try await dropPrivileges(target, caller)
            let done = try await operations.copyRange(
                of: record.node, at: request.sourceOffset, to: target.node, at: request.targetOffset,
                byteCount: length)
            if isWide {
                reply(header.unique, FUSECopyRangeReply(offset: done))
            } else {
                reply(header.unique, FUSEWriteReply(size: UInt32(clamping: done)))
            }
        }
    }
}

extension WriteMode {
    init(_ request: FUSETransferRequest, isDirectHandle: Bool) {
        self.init()
        isWriteBack = request.writeFlags.contains(.cache)
        // Write-back belongs to no open file: its flags are those of any. Spec: fuse 22.
        guard !isWriteBack else { return }
        appends = request.flags & FUSEOpenRequest.Flag.append != 0
        isDirect = request.flags & FUSEOpenRequest.Flag.direct != 0
        // For a handle that uses the page cache the kernel sends FSYNC itself.
        isSynchronous = isDirectHandle && request.flags & synchronousFlags != 0
        dropsPrivilegeBits = request.writeFlags.contains(.killSetIDs)
    }
}

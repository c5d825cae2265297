internal import EngineKit
internal import FUSELayout
internal import LayoutKit

// READ, WRITE, FSYNC, FALLOCATE, LSEEK: from requests to actions. Spec: fuse 4, 6.

extension SingleFileServer {
    func read(
        _ header: FUSERequestHeader, _ data: UnsafeRawBufferPointer, into actions: inout [FUSEAction]
    ) throws(LayoutError) {
        let request = try FUSETransferRequest(decoding: data)
        guard header.node == Node.file else {
            fail(header, ErrorNumber.isDirectory)
            return
        }
        // Shorter at the end of the file, empty behind it.
        let room = request.offset < file.sizeBytes ? file.sizeBytes - request.offset : 0
        let count = min(UInt64(request.size), room)
        guard count > 0 else {
            acknowledge(header.unique)
            return
        }
        guard isAligned(request.offset, count), count <= UInt64(Self.transferByteCountMax) else {
            fail(header, ErrorNumber.invalid)
            return
        }
        let slice = IOSlice(buffer: pool.take(byteCount: Int(count)), offset: 0, count: Int(count))
        let id = inFlight.insert(InFlightRequest(kind: .read, unique: header.unique, payload: slice))
        actions.append(.read(id, offset: request.offset, slice))
    }

    func write(
        _ header: FUSERequestHeader, _ data: UnsafeRawBufferPointer, into actions: inout [FUSEAction]
    ) throws(LayoutError) {
        let request = try FUSETransferRequest(decoding: data)
        let count = Int(request.size)
        guard data.count - FUSETransferRequest.byteCount == count else {
            throw .badLength(
                of: "data of a write", found: data.count - FUSETransferRequest.byteCount, expected: "\(count)")
        }
        guard header.node == Node.file else {
            fail(header, ErrorNumber.isDirectory)
            return
        }
        guard mayChange(header, request.offset, UInt64(count)) else { return }
        guard count > 0 else {
            reply(header.unique, FUSEWriteReply(size: 0))
            return
        }
        let slice = takePayload(count)
        let id = inFlight.insert(InFlightRequest(kind: .write, unique: header.unique, payload: slice))
        actions.append(.write(id, offset: request.offset, slice))
    }

    /// The data of the WRITE in the receive buffer, in a page-aligned slice that outlives the next receive.
    private func takePayload(_ count: Int) -> IOSlice {
        if count >= Self.handOverByteCount {
            let slice = IOSlice(buffer: receiveBuffer, offset: Self.pageByteCount, count: count)
            receiveBuffer = pool.take(byteCount: Self.receiveBufferByteCount)
            return slice
        }
        let slice = IOSlice(buffer: pool.take(byteCount: count), offset: 0, count: count)
        slice.bytes.copyMemory(
            from: UnsafeRawBufferPointer(start: receiveBuffer.base + Self.pageByteCount, count: count))
        return slice
    }

    func flush(_ header: FUSERequestHeader, into actions: inout [FUSEAction]) {
        actions.append(.flush(inFlight.insert(InFlightRequest(kind: .flush, unique: header.unique))))
    }

    func fallocate(
        _ header: FUSERequestHeader, _ data: UnsafeRawBufferPointer, into actions: inout [FUSEAction]
    ) throws(LayoutError) {
        let request = try FUSEFallocateRequest(decoding: data)
        guard header.node == Node.file else {
            fail(header, ErrorNumber.isDirectory)
            return
        }
        let mayUnmap: Bool
        switch request.mode {
        case [.punchHole, .keepSize]: mayUnmap = true
        case .zeroRange, [.zeroRange, .keepSize]: mayUnmap = false
        case [], .keepSize:
            // Provisioning: all of the volume is there.
            let fits = request.offset <= file.sizeBytes && request.length <= file.sizeBytes - request.offset
            if fits { acknowledge(header.unique) } else { fail(header, ErrorNumber.noSpace) }
            return
        default:
            fail(header, ErrorNumber.notSupported)
            return
        }
        guard mayChange(header, request.offset, request.length) else { return }
        guard request.length > 0 else {
            fail(header, ErrorNumber.invalid)
            return
        }
        let id = inFlight.insert(InFlightRequest(kind: .writeZeroes, unique: header.unique))
        actions.append(.writeZeroes(id, offset: request.offset, count: request.length, mayUnmap: mayUnmap))
    }

    func seek(_ header: FUSERequestHeader, _ data: UnsafeRawBufferPointer) throws(LayoutError) {
        let request = try FUSESeekRequest(decoding: data)
        guard request.offset < file.sizeBytes else {
            fail(header, ErrorNumber.noSuchAddress)
            return
        }
        // All is data, and the hole is behind the end.
        switch request.whence {
        case .data: reply(header.unique, FUSESeekReply(offset: request.offset))
        case .hole: reply(header.unique, FUSESeekReply(offset: file.sizeBytes))
        }
    }

    // MARK: Checks

    /// Write protection, range and alignment; answers the request when something is wrong.
    private func mayChange(_ header: FUSERequestHeader, _ offset: UInt64, _ count: UInt64) -> Bool {
        if file.isReadOnly {
            fail(header, ErrorNumber.readOnly)
            return false
        }
        guard offset <= file.sizeBytes, count <= file.sizeBytes - offset else {
            fail(header, ErrorNumber.noSpace)
            return false
        }
        guard isAligned(offset, count) else {
            fail(header, ErrorNumber.invalid)
            return false
        }
        return true
    }

    private func isAligned(_ offset: UInt64, _ count: UInt64) -> Bool {
        (offset | count) & UInt64(file.blockBytes - 1) == 0
    }
}

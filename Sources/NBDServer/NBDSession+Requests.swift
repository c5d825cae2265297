internal import EngineKit
internal import NBDLayout

// Transmission: from received requests to actions. Spec: NBD protocol, "Transmission", "Request types".

extension NBDSession {
    /// Understands one request, or a part of a payload; returns whether it consumed something.
    func takeRequest(into actions: inout [NBDAction]) -> Bool {
        switch incoming {
        case .none:
            return takeHeader(into: &actions)
        case .write(let request, let slice, let filled):
            return takePayload(request, slice, filled: filled, into: &actions)
        case .refused(let remaining):
            let count = min(remaining, staging.count)
            guard count > 0 else { return false }
            staging.drop(count)
            incoming = count == remaining ? .none : .refused(remaining: remaining - count)
            return true
        }
    }

    private func takePayload(
        _ request: NBDRequest, _ slice: IOSlice, filled: Int, into actions: inout [NBDAction]
    ) -> Bool {
        let count = min(slice.count - filled, staging.count)
        if count > 0 {
            UnsafeMutableRawBufferPointer(rebasing: slice.bytes[filled..<filled + count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: staging.bytes[..<count]))
            staging.drop(count)
        }
        guard filled + count == slice.count else {
            incoming = .write(request, slice, filled: filled + count)
            return false
        }
        incoming = .none
        let id = inFlight.insert(
            InFlightRequest(
                kind: .write, handle: request.handle, offset: request.offset, length: request.length, payload: slice))
        actions.append(.write(id, offset: request.offset, slice, fua: request.flags.contains(.forceUnitAccess)))
        return true
    }

    private func takeHeader(into actions: inout [NBDAction]) -> Bool {
        guard staging.count >= NBDRequest.byteCount else { return false }
        let request: NBDRequest
        do {
            request = try NBDRequest(decoding: staging.bytes)
        } catch {
            violation("bad request: \(error)", into: &actions)
            return false
        }
        guard hasRoom(for: request) else {
            isBlocked = true
            return false
        }
        staging.drop(NBDRequest.byteCount)
        guard let command = NBDCommand(rawValue: request.rawCommand) else {
            expectsLargeWrite = false
            fail(request, .invalid, "command \(request.rawCommand) is not known")
            return true
        }
        if command != .write || Int(request.length) < Self.largeWriteByteCount { expectsLargeWrite = false }
        perform(command, request, into: &actions)
        return true
    }

    /// Whether the limits let this request in.
    private func hasRoom(for request: NBDRequest) -> Bool {
        guard inFlight.count < limits.requestsInFlightMax else { return false }
        let pending = inFlight.byteCount + output.byteCount
        switch NBDCommand(rawValue: request.rawCommand) {
        case .read, .write:
            // A length beyond the limits is refused without a buffer.
            let bytes = min(Int(request.length), NBDRequest.payloadByteCountMax)
            return pending == 0 || pending + bytes <= limits.bytesInFlightMax
        case .disconnect, .flush, .trim, .cache, .writeZeroes, .blockStatus, nil:
            return pending <= limits.bytesInFlightMax
        }
    }

    private func perform(_ command: NBDCommand, _ request: NBDRequest, into actions: inout [NBDAction]) {
        switch command {
        case .disconnect:
            drain(.clientDisconnected, into: &actions)
        case .read:
            read(request, into: &actions)
        case .write:
            write(request, into: &actions)
        case .flush:
            flush(request, into: &actions)
        case .trim:
            trim(request, into: &actions)
        case .cache:
            // Nothing is cached here beyond what the backing store's host does by itself: a hint without effect.
            guard check(request, command, flags: []) else { return }
            succeed(request.handle)
        case .writeZeroes:
            writeZeroes(request, into: &actions)
        case .blockStatus:
            blockStatus(request, into: &actions)
        }
    }

    // MARK: Commands

    private func read(_ request: NBDRequest, into actions: inout [NBDAction]) {
        guard check(request, .read, flags: usesStructuredReplies ? .dontFragment : []) else { return }
        guard request.length > 0 else {
            succeed(request.handle)
            return
        }
        let slice = IOSlice(
            buffer: pool.take(byteCount: Int(request.length)), offset: 0, count: Int(request.length))
        let id = insert(request, .read, payload: slice)
        actions.append(.read(id, offset: request.offset, slice))
    }

    private func write(_ request: NBDRequest, into actions: inout [NBDAction]) {
        let count = Int(request.length)
        guard count <= NBDRequest.payloadByteCountMax else {
            violation("write of \(count) bytes, at most \(NBDRequest.payloadByteCountMax) are allowed", into: &actions)
            return
        }
        guard check(request, .write, flags: []) else {
            expectsLargeWrite = false
            if count > 0 { incoming = .refused(remaining: count) }
            return
        }
        guard count > 0 else {
            succeed(request.handle)
            return
        }
        incoming = .write(request, IOSlice(buffer: pool.take(byteCount: count), offset: 0, count: count), filled: 0)
    }

    private func flush(_ request: NBDRequest, into actions: inout [NBDAction]) {
        guard request.flags.subtracting(.forceUnitAccess).isEmpty, request.offset == 0, request.length == 0 else {
            fail(request, .invalid, "a flush has no flags, offset or length")
            return
        }
        actions.append(.flush(insert(request, .flush)))
    }

    private func trim(_ request: NBDRequest, into actions: inout [NBDAction]) {
        guard check(request, .trim, flags: []) else { return }
        guard geometry.canTrim else {
            fail(request, .invalid, "this export cannot trim")
            return
        }
        guard request.length > 0 else {
            succeed(request.handle)
            return
        }
        let id = insert(request, .trim)
        actions.append(
            .trim(
                id, offset: request.offset, count: UInt64(request.length),
                fua: request.flags.contains(.forceUnitAccess)))
    }

    private func writeZeroes(_ request: NBDRequest, into actions: inout [NBDAction]) {
        guard check(request, .writeZeroes, flags: [.noHole, .fastZero]) else { return }
        guard geometry.canWriteZeroes else {
            fail(request, .invalid, "this export cannot write zeroes")
            return
        }
        guard geometry.zeroesAreFast || !request.flags.contains(.fastZero) else {
            fail(request, .notSupported, "zeroing is no faster than writing here")
            return
        }
        guard request.length > 0 else {
            succeed(request.handle)
            return
        }
        let id = insert(request, .writeZeroes)
        actions.append(
            .writeZeroes(
                id, offset: request.offset, count: UInt64(request.length),
                mayUnmap: !request.flags.contains(.noHole), fua: request.flags.contains(.forceUnitAccess)))
    }

    private func blockStatus(_ request: NBDRequest, into actions: inout [NBDAction]) {
        guard reportsBlockStatus else {
            fail(request, .invalid, "no metadata context was chosen")
            return
        }
        guard check(request, .blockStatus, flags: .requestOne) else { return }
        guard request.length > 0 else {
            fail(request, .invalid, "the status of no bytes cannot be told")
            return
        }
        guard geometry.reportsAllocation else {
            sendStatus(request.handle, [NBDExtent(length: request.length, status: [])])
            return
        }
        var entry = InFlightRequest(
            kind: .blockStatus, handle: request.handle, offset: request.offset, length: request.length)
        entry.wantsOneExtent = request.flags.contains(.requestOne)
        let id = inFlight.insert(entry)
        actions.append(.blockStatus(id, offset: request.offset, count: UInt64(request.length)))
    }

    private func insert(
        _ request: NBDRequest, _ kind: InFlightRequest.Kind, payload: IOSlice? = nil
    ) -> NBDRequestID {
        inFlight.insert(
            InFlightRequest(
                kind: kind, handle: request.handle, offset: request.offset, length: request.length, payload: payload))
    }

    // MARK: Checks

    /// Flags, write protection, range and alignment; answers the request when something is wrong.
    ///
    /// FUA is allowed with every command; existing clients set it on commands that write nothing.
    private func check(_ request: NBDRequest, _ command: NBDCommand, flags: NBDCommandFlags) -> Bool {
        guard request.flags.isSubset(of: flags.union(.forceUnitAccess)) else {
            fail(request, .invalid, "flags 0x\(String(request.flags.rawValue, radix: 16)) do not fit the command")
            return false
        }
        let changes = command == .write || command == .trim || command == .writeZeroes
        if changes && geometry.isReadOnly {
            fail(request, .notPermitted, "this export is read-only")
            return false
        }
        let length = UInt64(request.length)
        guard request.offset <= geometry.sizeBytes, length <= geometry.sizeBytes - request.offset else {
            let grows = command == .write || command == .writeZeroes
            fail(request, grows ? .noSpace : .invalid, "beyond the end of the export")
            return false
        }
        guard (request.offset | length) & (geometry.minimumBlock - 1) == 0 else {
            fail(request, .invalid, "offset and length must be multiples of \(geometry.minimumBlock)")
            return false
        }
        if (command == .read || command == .write) && length > geometry.maximumBlock {
            fail(request, .invalid, "at most \(geometry.maximumBlock) bytes in one request")
            return false
        }
        return true
    }
}

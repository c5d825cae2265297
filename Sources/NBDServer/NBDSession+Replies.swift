internal import EngineKit
package import NBDLayout

// From completions to replies. Spec: NBD protocol, "Simple reply message", "Structured reply chunk message".

extension NBDSession {
    /// The backend has finished a request: `status` is 0 or an errno of Linux.
    package func completed(_ id: NBDRequestID, status: Int32, into actions: inout [NBDAction]) {
        let request = inFlight.remove(id)
        guard phase != .closed else { return }
        if status != 0 {
            var error = NBDErrorCode(errno: status)
            // "Not supported" has a meaning for zeroing that shall be fast only.
            if error == .notSupported { error = .invalid }
            fail(request.handle, error, "")
        } else {
            switch request.kind {
            case .read:
                sendData(request)
            case .blockStatus:
                sendStatus(request.handle, [NBDExtent(length: request.length, status: [])])
            case .write, .flush, .trim, .writeZeroes:
                succeed(request.handle)
            }
        }
        makeProgress(into: &actions)
    }

    /// The backend knows what is allocated from the start of the range that was asked for; it may tell less than all
    /// of it, and more than it.
    package func completed(_ id: NBDRequestID, extents: [NBDExtent], into actions: inout [NBDAction]) {
        let request = inFlight.remove(id)
        precondition(request.kind == .blockStatus, "extents for a request of another kind")
        guard phase != .closed else { return }
        var remaining = request.length
        var clipped: [NBDExtent] = []
        for extent in extents where extent.length > 0 {
            guard remaining > 0, !(request.wantsOneExtent && clipped.count == 1) else { break }
            let length = min(extent.length, remaining)
            clipped.append(NBDExtent(length: length, status: extent.status))
            remaining -= length
        }
        if clipped.isEmpty { clipped = [NBDExtent(length: request.length, status: [])] }
        sendStatus(request.handle, clipped)
        makeProgress(into: &actions)
    }

    private func sendData(_ request: InFlightRequest) {
        guard let payload = request.payload else { preconditionFailure("a read without a buffer") }
        if usesStructuredReplies {
            append(NBDDataChunk.byteCount) {
                NBDDataChunk(
                    isLast: true, handle: request.handle, offset: request.offset, dataByteCount: payload.count
                ).encode(into: $0)
            }
        } else {
            append(NBDSimpleReply.byteCount) {
                NBDSimpleReply(error: nil, handle: request.handle).encode(into: $0)
            }
        }
        output.append(payload)
    }

    func sendStatus(_ handle: UInt64, _ extents: [NBDExtent]) {
        let chunk = NBDBlockStatusChunk(
            isLast: true, handle: handle, contextID: Self.metaContextID, extents: extents)
        append(chunk.byteCount) { chunk.encode(into: $0) }
    }

    /// Success without data.
    func succeed(_ handle: UInt64) {
        if usesStructuredReplies {
            append(NBDChunkHeader.byteCount) {
                NBDChunkHeader(isLast: true, type: .none, handle: handle, payloadByteCount: 0).encode(into: $0)
            }
        } else {
            append(NBDSimpleReply.byteCount) { NBDSimpleReply(error: nil, handle: handle).encode(into: $0) }
        }
    }

    func fail(_ request: NBDRequest, _ error: NBDErrorCode, _ text: String) {
        fail(request.handle, error, text)
    }

    /// Failure; the text reaches clients that take structured replies.
    private func fail(_ handle: UInt64, _ error: NBDErrorCode, _ text: String) {
        if usesStructuredReplies {
            let chunk = NBDErrorChunk(isLast: true, handle: handle, error: error, text: text)
            append(chunk.byteCount) { chunk.encode(into: $0) }
        } else {
            append(NBDSimpleReply.byteCount) { NBDSimpleReply(error: error, handle: handle).encode(into: $0) }
        }
    }
}

internal import EngineKit
internal import DRBDLayout
internal import LayoutKit

// From bytes to packets. A packet is looked at when all of it has come; on the data socket strictly one after the other.

extension ReplicationEngine {
    /// Where the next bytes of this socket go. Empty: stop reading until ``Action/resumeReceiving(_:)``.
    ///
    /// The window changes with every input; ask again before each read. Big payloads get a window inside their
    /// page-aligned buffer, so that they reach the disk without another copy.
    package func receiveWindow(for socket: SocketID) -> UnsafeMutableRawBufferPointer {
        connection.channel(socket)?.window() ?? UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    func received(_ socket: SocketID, count: Int) {
        guard count > 0, let channel = connection.channel(socket) else { return }
        channel.received(count)
        connection.lastReceived = now
        parse(channel)
    }

    /// Looks at all packets that have come completely and may be looked at.
    func parse(_ channel: SocketChannel) {
        while true {
            guard mayParse(channel) else {
                connection.needsResume = true
                break
            }
            guard channel.header != nil || readHeader(channel) else { break }
            guard let header = channel.header, collect(channel, header) else { break }
            switch deliver(channel, header) {
            case .done:
                channel.consumePacket()
            case .retry:
                channel.isStalled = true
                connection.needsResume = true
                return
            case .violation(let text):
                refusePacket(channel, header, text)
                return
            }
        }
        reopenWindow(channel)
    }

    /// The owner stopped reading because there was no room; there is some now.
    private func reopenWindow(_ channel: SocketChannel) {
        guard channel.isWindowClosed, connection.channel(channel.id) === channel, !channel.window().isEmpty else {
            return
        }
        channel.isWindowClosed = false
        actions.append(.resumeReceiving(channel.id))
    }

    /// Whether the next packet of this socket may be looked at now.
    private func mayParse(_ channel: SocketChannel) -> Bool {
        guard !channel.isLingering, !channel.isStalled else { return false }
        guard connection.channel(channel.id) === channel else { return false }
        switch connection.phase {
        case .off, .resting, .closing: return false
        case .establishing: return channel.role == nil
        case .features, .authenticating: return channel === connection.data && receiver.isIdle
        case .live:
            if channel === connection.meta { return true }
            return channel === connection.data && receiver.isIdle && connection.epoch.stage == .open
                && !isReceiverFull
        }
    }

    /// Requests of the peer that may be known at once, reads that wait for their turn included.
    private static let peerRequestCountMax = 1 << 16

    /// The peer has given the disks as much work as they may hold: `max-buffers` is a number of pages, and the memory of
    /// a receiver whose disk is slower than the network is bounded by nothing else. Spec: drbd-wire 11.4.
    ///
    /// Only what disks work on counts: they get done whatever the peer does. What waits to be sent must never stop the
    /// reading: the peer may do the same. Its reads wait for room by themselves, see ``beginPeerRead(_:)``.
    private var isReceiverFull: Bool {
        let pagesMax = max(64, connection.network?.buffersMax ?? 2048)
        return peerRequestByteCount >= pagesMax * 4096 || peerRequests.count >= Self.peerRequestCountMax
    }

    private func readHeader(_ channel: SocketChannel) -> Bool {
        let byteCount = connection.dialect.headerByteCount
        guard channel.hasStaged(byteCount) else { return false }
        do throws(LayoutError) {
            let header = try PacketHeader(decoding: channel.staged, version: connection.dialect.version)
            if connection.phase == .features || connection.phase == .authenticating {
                guard acceptsInHandshake(header) else { return false }
                channel.header = header
                return true
            }
            guard let command = header.command, accepts(command, on: channel) else {
                refuseCommand(channel, header)
                return false
            }
            try command.checkLength(header.length, connection.dialect)
            channel.header = header
            return true
        } catch {
            refuseHeader(channel, error)
            return false
        }
    }

    /// Whether a packet of this kind may come on this socket in this phase.
    private func accepts(_ command: PacketCommand, on channel: SocketChannel) -> Bool {
        switch connection.phase {
        case .establishing: command == .initialData || command == .initialMeta
        case .live:
            switch command {
            case .initialData, .initialMeta, .connectionFeatures, .authChallenge, .authResponse, .writeSame: false
            default: command.socket == nil || command.socket == channel.role
            }
        case .off, .resting, .features, .authenticating, .closing: false
        }
    }

    /// Whether all of the packet has come. Data of big packets is given its own buffer.
    private func collect(_ channel: SocketChannel, _ header: PacketHeader) -> Bool {
        let headerCount = connection.dialect.headerByteCount
        guard let command = header.command else { return false }
        switch command {
        case .data, .dataReply, .resyncDataReply:
            let headCount = headerCount + DataHeader.byteCount
            if channel.payload == nil {
                guard channel.hasStaged(headCount) else { return false }
                guard let place = placeForData(channel, header, command, headerCount) else { return false }
                channel.beginPayload(place, headCount: headCount)
            }
            return channel.isPayloadComplete
        default:
            let count = headerCount + Int(header.length)
            guard channel.hasStaged(count) else { return false }
            channel.markComplete(stagedCount: count)
            return true
        }
    }

    /// The buffer for a packet's data: the application's own for an answer to its read.
    private func placeForData(
        _ channel: SocketChannel, _ header: PacketHeader, _ command: PacketCommand, _ headerCount: Int
    ) -> IOSlice? {
        do throws(LayoutError) {
            let byteCount = try DataHeader.dataByteCount(
                length: header.length, digestByteCount: 0, dialect: connection.dialect)
            if command == .dataReply {
                let fixed = try DataHeader(
                    decoding: UnsafeRawBufferPointer(rebasing: channel.staged[headerCount...]))
                if let place = placeForReply(fixed, byteCount: byteCount) { return place }
            }
            return IOSlice(buffer: buffers.take(byteCount: byteCount), offset: 0, count: byteCount)
        } catch {
            refusePacket(channel, header, "\(error)")
            return nil
        }
    }

    private func deliver(_ channel: SocketChannel, _ header: PacketHeader) -> PacketVerdict {
        guard let command = header.command else { return .violation("unknown command") }
        let headerCount = connection.dialect.headerByteCount
        let staged = channel.staged
        let bodyCount = channel.payload == nil ? Int(header.length) : DataHeader.byteCount
        let body = UnsafeRawBufferPointer(rebasing: staged[headerCount..<headerCount + bodyCount])
        switch connection.phase {
        case .establishing:
            return receiveFirstPacket(channel, command)
        case .features, .authenticating:
            return receiveHandshakePacket(command, body)
        case .live:
            return channel === connection.meta
                ? receiveMetaPacket(command, header, body)
                : receiveDataPacket(command, header, body, data: channel.payload)
        case .off, .resting, .closing:
            return .done
        }
    }

    /// Goes on with the data socket after something that it waited for.
    func resumeReceiver() {
        guard connection.needsResume, let data = connection.data, receiver.isIdle else { return }
        if connection.isLive { advanceEpoch() }
        guard connection.epoch.stage == .open else { return }
        connection.needsResume = false
        data.isStalled = false
        parse(data)
    }

    /// A time that a packet waited for is over.
    func retryStalledPacket() {
        connection.data?.isStalled = false
        changed()
    }

    // MARK: Refusals

    /// Drops the connection as a kernel would. Spec: drbd-wire 22.
    private func refusePacket(_ channel: SocketChannel, _ header: PacketHeader, _ text: String) {
        let command = header.command?.name ?? hexadecimal(UInt64(header.commandNumber))
        log(.error, "error receiving \(command), l: \(header.length)! \(text)")
        dropAfterViolation(channel)
    }

    private func refuseCommand(_ channel: SocketChannel, _ header: PacketHeader) {
        let name = header.command?.name ?? hexadecimal(UInt64(header.commandNumber))
        switch connection.phase {
        case .establishing:
            refuseFirstPacket(channel)
        case .live where channel === connection.meta && header.command == nil:
            log(.error, "Unexpected meta packet \(name), l: \(header.length): no such command on the meta socket")
            loseConnection(.disconnecting)
        default:
            let socket = channel === connection.meta ? "meta" : "data"
            log(
                .error,
                "Unexpected \(socket) packet \(name), l: \(header.length), expected another command on this socket")
            dropAfterViolation(channel)
        }
    }

    private func refuseHeader(_ channel: SocketChannel, _ error: LayoutError) {
        if connection.phase == .establishing {
            refuseFirstPacket(channel)
            return
        }
        log(.error, "packet header on the \(channel.role == .meta ? "meta" : "data") socket: \(error)")
        dropAfterViolation(channel)
    }

    private func dropAfterViolation(_ channel: SocketChannel) {
        if connection.phase == .establishing {
            refuseFirstPacket(channel)
        } else {
            loseConnection(channel === connection.meta ? .networkFailure : .protocolError)
        }
    }
}

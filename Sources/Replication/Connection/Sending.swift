package import EngineKit
internal import DRBDLayout
internal import LayoutKit

// Towards the sockets. A packet is one copy of header and fixed part; payload goes by reference.

extension ReplicationEngine {
    /// Access to what waits to be sent on a socket; nil for a socket that the engine does not know (any more).
    package func withOutputQueue<Result>(
        of socket: SocketID, _ body: (inout OutputQueue) -> Result
    ) -> Result? {
        guard let channel = connection.channel(socket) else { return nil }
        return body(&channel.output)
    }

    /// Puts a packet of fixed size on the data socket; `volume` nil: of the whole connection.
    func send(_ command: PacketCommand, _ volume: Volume?, _ packet: some FixedLayout) {
        guard let channel = connection.data else { return }
        append(command, volume, packet, to: channel)
    }

    /// Puts a packet of fixed size on the meta socket.
    func sendMeta(_ command: PacketCommand, _ volume: Volume?, _ packet: some FixedLayout) {
        guard let channel = connection.meta else { return }
        append(command, volume, packet, to: channel)
    }

    private func append<Packet: FixedLayout>(
        _ command: PacketCommand, _ volume: Volume?, _ packet: Packet, to channel: SocketChannel
    ) {
        appendPacket(command, volume, length: Packet.byteCount, to: channel) { packet.encode(into: $0) }
    }

    /// Puts a packet without payload on a socket.
    func sendEmpty(_ command: PacketCommand, _ volume: Volume? = nil, on channel: SocketChannel?) {
        guard let channel else { return }
        appendPacket(command, volume, length: 0, to: channel) { _ in }
    }

    /// Puts a packet on a socket whose payload of `length` bytes `fill` writes.
    func appendPacket(
        _ command: PacketCommand, _ volume: Volume?, length: Int, to channel: SocketChannel,
        _ fill: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        let version = connection.dialect.version
        let header = PacketHeader(command, volume: volume?.number.rawValue ?? 0, length: length)
        let format = PacketHeader.format(version: version, length: length)
        noteSending(channel)
        channel.output.append(count: format.byteCount + length) { bytes in
            header.encode(into: bytes, format: format)
            fill(UnsafeMutableRawBufferPointer(rebasing: bytes[format.byteCount...]))
        }
    }

    /// Puts P_DATA or one of its replies on the data socket.
    ///
    /// - Returns: where the packet ends in the stream of the socket.
    @discardableResult
    func sendBulk(_ command: PacketCommand, _ volume: Volume, _ fixed: DataHeader, _ data: IOSlice) -> UInt64 {
        guard let channel = connection.data else { return 0 }
        let length = DataHeader.byteCount + data.count
        let header = PacketHeader(command, volume: volume.number.rawValue, length: length)
        let format = PacketHeader.format(version: connection.dialect.version, length: length)
        noteSending(channel)
        channel.output.append(count: format.byteCount + DataHeader.byteCount) { bytes in
            header.encode(into: bytes, format: format)
            fixed.encode(into: UnsafeMutableRawBufferPointer(rebasing: bytes[format.byteCount...]))
        }
        channel.output.append(data)
        return channel.output.totalAppended
    }

    /// Puts data that the peer asked for on the data socket.
    func sendReply(_ command: PacketCommand, _ volume: Volume, _ fixed: DataHeader, _ data: IOSlice) {
        volume.counters.sentSectors += UInt64(data.count / 512)
        let position = sendBulk(command, volume, fixed, data)
        connection.replies.append(byteCount: data.count, position: position)
    }

    private func noteSending(_ channel: SocketChannel) {
        channel.needsTransmit = true
        connection.needsTransmit = true
        guard channel.output.isEmpty else { return }
        channel.lastProgress = now
        channel.sendTimeoutsLeft = max(1, connection.network?.koCount ?? 7)
        armSendCheck()
    }

    /// Tells the owner of each socket that has new bytes, once for each input.
    func emitTransmits() {
        guard connection.needsTransmit else { return }
        connection.needsTransmit = false
        for channel in connection.channels where channel.needsTransmit {
            channel.needsTransmit = false
            actions.append(.transmit(channel.id))
        }
    }

    /// The socket took bytes.
    func transmitted(_ socket: SocketID) {
        guard let channel = connection.channel(socket) else { return }
        channel.lastProgress = now
        channel.sendTimeoutsLeft = max(1, connection.network?.koCount ?? 7)
        if channel.isLingering {
            if channel.output.isEmpty, !channel.lingersUntilPeerCloses { closeChannel(channel) }
            return
        }
        if channel === connection.data {
            connection.replies.transmitted(position: channel.output.totalConsumed)
            writesTransmitted(position: channel.output.totalConsumed)
            changed()
        }
    }

    // MARK: Send time-outs, drbd-wire 20

    private var sendTimeout: Duration? {
        guard let network = connection.network, network.timeout > 0 else { return nil }
        return .deciseconds(network.timeout)
    }

    private func armSendCheck() {
        guard connection.sendCheckAt == nil, let sendTimeout else { return }
        connection.sendCheckAt = now + sendTimeout
    }

    /// Looks whether a socket has taken nothing for too long.
    func checkSending() {
        guard let due = connection.sendCheckAt, due <= now else { return }
        connection.sendCheckAt = nil
        guard let sendTimeout else { return }
        var next: Instant?
        for channel in connection.channels where !channel.output.isEmpty && !channel.isLingering {
            let limit = channel.lastProgress + sendTimeout
            if limit > now {
                next = min(next ?? limit, limit)
                continue
            }
            guard sendTimedOut(channel) else { return }
            channel.lastProgress = now
            next = min(next ?? now + sendTimeout, now + sendTimeout)
        }
        connection.sendCheckAt = next
    }

    /// False: the connection is given up.
    private func sendTimedOut(_ channel: SocketChannel) -> Bool {
        guard connection.isLive else { return true }
        guard channel === connection.data else {
            log(.error, "meta socket: send timed out")
            loseConnection(.networkFailure)
            return false
        }
        guard connection.network?.koCount ?? 0 > 0 else {
            requestPing()
            return true
        }
        channel.sendTimeoutsLeft -= 1
        guard channel.sendTimeoutsLeft > 0 else {
            loseConnection(.timeout)
            return false
        }
        log(.error, "sock_sendmsg time expired, ko = \(channel.sendTimeoutsLeft)")
        requestPing()
        return true
    }
}

internal import DRBDLayout
internal import EngineKit

// Getting the two sockets: the state machine is ConnectionEstablishment, here its effects become actions.
// Spec: drbd-wire 2.

extension ReplicationEngine {
    /// Unconnected -> WFConnection: listen and connect.
    func startEstablishing() {
        guard let network = connection.network else { return }
        guard changeAll(StateRequest(conn: .wfConnection), .soft) == .success else { return }
        connection.phase = .establishing
        connection.dialect = .beforeAgreement
        connection.establishment = ConnectionEstablishment(timing: .init(options: network))
        feed(.start)
    }

    /// Gives an event to the establishment and carries out what it wants.
    func feed(_ event: ConnectionEstablishment.Event) {
        guard connection.establishment != nil else { return }
        var effects: [ConnectionEstablishment.Effect] = []
        connection.establishment?.handle(
            event, now: now, random: random, nextSocketID: { self.nextSocketID() }, into: &effects)
        for effect in effects { carryOut(effect) }
        changed()
    }

    private func carryOut(_ effect: ConnectionEstablishment.Effect) {
        switch effect {
        case .listen:
            actions.append(.listen)
        case .stopListening:
            actions.append(.stopListening)
        case .connect(let id):
            connection.channels.append(SocketChannel(id: id, role: nil))
            actions.append(.connect(id))
        case .send(let id, let packet):
            guard let channel = connection.channel(id) else { return }
            channel.role = packet == .initialMeta ? .meta : .data
            sendEmpty(packet == .initialMeta ? .initialMeta : .initialData, on: channel)
        case .close(let id):
            if let channel = connection.channel(id) { closeChannel(channel) }
        case .established(let data, let meta, let resolveConflicts):
            established(data: data, meta: meta, resolveConflicts: resolveConflicts)
        case .failed(let errno):
            log(.error, "the own address cannot be used, errno \(errno): check address and port of this host")
            giveUp()
        case .log(let record):
            log(record.level, record.text)
        }
    }

    // MARK: Inputs

    func socketConnected(_ id: SocketID) {
        guard connection.channel(id) != nil else {
            actions.append(.close(id))
            return
        }
        feed(.connected(id))
    }

    func socketConnectFailed(_ id: SocketID, errno: Int32) {
        connection.channels.removeAll { $0.id == id }
        feed(.connectFailed(id, errno: errno))
    }

    func socketAccepted(_ id: SocketID, from address: String) {
        guard connection.phase == .establishing else {
            actions.append(.close(id))
            return
        }
        let channel = SocketChannel(id: id, role: nil)
        channel.address = address
        connection.channels.append(channel)
        feed(.accepted(id))
    }

    func listenFailed(errno: Int32) {
        guard connection.phase == .establishing else { return }
        log(.error, "listening failed with errno \(errno): check address and port of this host")
        giveUp()
    }

    func socketEnded(_ id: SocketID, errno: Int32) {
        guard let channel = connection.channel(id) else { return }
        let wasUsed = channel === connection.data || channel === connection.meta
        connection.channels.removeAll { $0 === channel }
        if channel.isLingering { return }
        switch connection.phase {
        case .establishing:
            feed(.socketEnded(id))
        case .features, .authenticating, .live:
            guard wasUsed else { return }
            lostSocket(channel, errno: errno)
        case .off, .resting, .closing:
            break
        }
    }

    private func lostSocket(_ channel: SocketChannel, errno: Int32) {
        let name = channel === connection.meta ? "meta" : "data"
        let why = errno == 0 ? "closed by the peer" : "failed, errno \(errno)"
        log(.info, "\(name) socket \(why)")
        // A graceful disconnect of ours is under way: the peer closes behind its answer, which may still come on the
        // other socket. Spec: drbd-wire 21.1 step 4.
        if connection.isChangingState, connection.isLive, channel === connection.data {
            connection.data = nil
            let serial = connection.serial
            after(connection.pingTimeout) { engine in
                if engine.connection.serial == serial, engine.connection.isLive { engine.loseConnection(.brokenPipe) }
            }
            return
        }
        loseConnection(channel === connection.meta ? .networkFailure : .brokenPipe)
    }

    // MARK: First packets

    /// P_INITIAL_DATA or P_INITIAL_META on an accepted socket.
    func receiveFirstPacket(_ channel: SocketChannel, _ command: PacketCommand) -> PacketVerdict {
        channel.role = command == .initialMeta ? .meta : .data
        // What follows is looked at when both sockets are settled.
        channel.consumePacket()
        feed(.firstPacket(channel.id, command == .initialMeta ? .initialMeta : .initialData))
        return .done
    }

    func refuseFirstPacket(_ channel: SocketChannel) {
        let from = channel.address.isEmpty ? "" : " from \(channel.address)"
        log(.error, "Error receiving initial packet\(from): P_INITIAL_DATA or P_INITIAL_META expected")
        feed(.firstPacket(channel.id, .other))
    }

    // MARK: Sockets

    /// Closes a socket at once; what waits to be sent is dropped.
    func closeChannel(_ channel: SocketChannel) {
        guard connection.channels.contains(where: { $0 === channel }) else { return }
        connection.channels.removeAll { $0 === channel }
        actions.append(.close(channel.id))
    }

    /// Closes a socket when what waits has been sent, or after a short while.
    ///
    /// - Parameter untilPeerCloses: the peer decides the same on its own: it shall read all that was sent, which a
    ///   socket closed over unread bytes would take away from it, and close by itself.
    func lingerThenClose(_ channel: SocketChannel, untilPeerCloses: Bool) {
        guard connection.channels.contains(where: { $0 === channel }) else { return }
        channel.lingersUntilPeerCloses = untilPeerCloses
        if channel.output.isEmpty && !untilPeerCloses {
            closeChannel(channel)
            return
        }
        channel.isLingering = true
        if channel.isWindowClosed {
            channel.isWindowClosed = false
            actions.append(.resumeReceiving(channel.id))
        }
        let id = channel.id
        // A peer that decides runs its split-brain handlers first.
        after(connection.pingTimeout * (untilPeerCloses ? 4 : 1)) { engine in
            if let channel = engine.connection.channels.first(where: { $0.id == id }) { engine.closeChannel(channel) }
        }
    }
}

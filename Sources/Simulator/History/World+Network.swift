internal import DRBDLayout
internal import EngineKit
internal import Replication

// Bytes between engines and the network.
extension World {
    /// Carries notices of the network to the engines.
    func deliver(_ notices: [SimulatedNetwork.Notice]) {
        for notice in notices {
            switch notice {
            case .connected(let host, let socket): feed(host: host, .connected(socket))
            case .connectFailed(let host, let socket, let errno):
                feed(host: host, .connectFailed(socket, errno: errno))
            case .incoming(let host, let connection): accept(host: host, connection)
            case .readable(let host, let socket): drain(host: host, socket)
            case .writable(let host, let socket): transmit(host: hosts[host], socket)
            }
        }
        deliverLater()
    }

    /// What came up while notices were delivered.
    private func deliverLater() {
        let more = network.takeNotices()
        if !more.isEmpty { deliver(more) }
    }

    private func accept(host index: Int, _ connection: Int) {
        guard let engine = hosts[index].engine else { return network.refuse(connection) }
        let socket = engine.nextSocketID()
        network.accept(connection, as: socket)
        feed(host: index, .accepted(socket, from: index == 0 ? "10.0.0.2" : "10.0.0.1"))
    }

    /// Hands the engine what waits on a socket, as far as it takes it.
    func drain(host index: Int, _ socket: SocketID) {
        let host = hosts[index]
        let incarnation = host.incarnation
        while host.isCurrent(incarnation), failure == nil, let engine = host.engine {
            let available = network.readableBytes(host: index, socket)
            guard available > 0 else { break }
            let window = engine.receiveWindow(for: socket)
            guard window.count > 0 else { return }
            var count = min(window.count, available)
            var pauses = false
            if scenario.fragmentOneIn > 0, machineRandom.below(scenario.fragmentOneIn) == 0 {
                count = machineRandom.between(1, count)
                pauses = machineRandom.chance(1, in: 4)
            }
            network.read(host: index, socket, into: UnsafeMutableRawBufferPointer(rebasing: window[0..<count]))
            trace.note(
                .input, host: index, UInt64(socket.rawValue), UInt64(count), "\(count) bytes on \(socket.rawValue)")
            host.ticksAtSameTime = 0
            feed(host: index, .received(socket, count: count))
            if pauses {
                let wait = UInt64(machineRandom.between(1_000, 300_000))
                return queue.add(.drain(host: index, incarnation: incarnation, socket), at: now + wait)
            }
            // While a host is being fed its inputs wait: the window is not right before they were taken.
            if host.isFeeding {
                return queue.add(.drain(host: index, incarnation: incarnation, socket), at: now)
            }
        }
        guard host.isCurrent(incarnation), let errno = network.takeEnd(host: index, socket) else { return }
        feed(host: index, .socketEnded(socket, errno: errno))
    }

    /// Gives the network what waits in the engine's queue for a socket, as far as it takes it.
    func transmit(host: SimulatedHost, _ socket: SocketID) {
        guard let engine = host.engine else { return }
        let count = engine.withOutputQueue(of: socket) { queue in
            network.send(host: host.index, socket, from: &queue)
        }
        for packet in network.packets { observed(packet) }
        network.packets.removeAll(keepingCapacity: true)
        if let count, count > 0 { feed(host: host.index, .transmitted(socket)) }
    }

    // MARK: Watching

    private func observed(_ packet: ObservedPacket) {
        let command = PacketCommand(rawValue: packet.command)
        trace.note(
            .packet, host: packet.sender, UInt64(packet.command), UInt64(packet.length),
            Self.describe(packet, command))
        switch command {
        case .superseded: reach(.superseded)
        case .retryWrite: reach(.retriedWrite)
        case .outOfSync: reach(.outOfSyncNotice)
        case .trim: reach(.discardSent)
        case .zeroes: reach(.zeroesSent)
        case .dataReply: reach(.remoteRead)
        case .negativeDataReply: reach(.negativeDataReply)
        case .negativeAck: reach(.negativeAck)
        case .negativeResyncDataReply: reach(.negativeResyncReply)
        case .resyncCancel: reach(.resyncCancelled)
        case .authResponse: reach(.authenticated)
        case .bitmap: reach(.plainBitmap)
        case .compressedBitmap: reach(.compressedBitmap)
        case .data:
            if hosts[packet.sender].connection == .syncSource { reach(.writeDuringSync) }
        case .stateChangeReply, .connectionStateChangeReply:
            guard let code = packet.number32(at: 0) else { break }
            if code == UInt32(bitPattern: -19) { reach(.stateChangeCollision) }
            if Int32(bitPattern: code) < 0 { reach(.twoStepRefused) }
        default: break
        }
    }

    private static func describe(_ packet: ObservedPacket, _ command: PacketCommand?) -> String {
        let name = command?.name ?? "packet \(packet.command)"
        let volume = packet.volume == 0 ? "" : " volume \(packet.volume)"
        switch command {
        case .data, .trim, .zeroes, .dataReply, .resyncDataReply:
            let size =
                command == .trim || command == .zeroes
                ? Int(packet.number32(at: 24) ?? 0) : packet.length - 24
            return "\(name)\(volume) sector \(packet.number64(at: 0) ?? 0)+\(size / 512) "
                + "seq \(packet.number32(at: 16) ?? 0) flags \(String(packet.number32(at: 20) ?? 0, radix: 16))"
        case .writeAck, .receiveAck, .resyncWriteAck, .superseded, .retryWrite, .negativeAck, .negativeDataReply,
            .negativeResyncDataReply, .resyncIsInSync, .resyncCancel, .verifyResult:
            return "\(name)\(volume) sector \(packet.number64(at: 0) ?? 0)+\((packet.number32(at: 16) ?? 0) / 512) "
                + "seq \(packet.number32(at: 20) ?? 0)"
        case .dataRequest, .resyncDataRequest, .outOfSync, .verifyRequest, .verifyReply:
            let offset = command == .outOfSync ? 8 : 16
            return "\(name)\(volume) sector \(packet.number64(at: 0) ?? 0)+\((packet.number32(at: offset) ?? 0) / 512)"
        case .uuids:
            let words = (0..<6).map { String(packet.number64(at: 8 * $0) ?? 0, radix: 16) }
            return "\(name)\(volume) \(words.joined(separator: " "))"
        case .state:
            let word = packet.number32(at: 0) ?? 0
            let state = try? DeviceState(rawValue: word)
            return "\(name)\(volume) \(state.map(Self.describe) ?? String(word, radix: 16))"
        case .barrier, .barrierAck:
            return "\(name) \(String(packet.number32(at: 0) ?? 0, radix: 16)) \(packet.number32(at: 4) ?? 0)"
        case .stateChangeRequest, .connectionStateChangeRequest:
            return "\(name)\(volume) mask \(String(packet.number32(at: 0) ?? 0, radix: 16)) "
                + "value \(String(packet.number32(at: 4) ?? 0, radix: 16))"
        case .stateChangeReply, .connectionStateChangeReply:
            return "\(name)\(volume) \(Int32(bitPattern: packet.number32(at: 0) ?? 0))"
        case .syncUUID: return "\(name)\(volume) \(String(packet.number64(at: 0) ?? 0, radix: 16))"
        default: return "\(name)\(volume) length \(packet.length)"
        }
    }
}

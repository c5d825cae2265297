internal import DRBDLayout
internal import EngineKit
internal import LayoutKit

// From two sockets to a connection: features, authentication, parameters. Spec: drbd-wire 4, 5, 7.

extension ReplicationEngine {
    private static let ownFeatures = ConnectionFeatures(
        versionMin: 100, versionMax: 101, flags: [.trim, .writeSame, .writeZeroes])

    /// Both sockets are there: features go out.
    func established(data: SocketID, meta: SocketID, resolveConflicts: Bool) {
        connection.establishment = nil
        guard let dataChannel = connection.channel(data), let metaChannel = connection.channel(meta) else {
            preconditionFailure("established without sockets")
        }
        connection.data = dataChannel
        connection.meta = metaChannel
        dataChannel.role = .data
        metaChannel.role = .meta
        for channel in connection.channels where channel !== dataChannel && channel !== metaChannel {
            closeChannel(channel)
        }
        connection.serial += 1
        connection.resolvesConflicts = resolveConflicts
        connection.dialect = .beforeAgreement
        connection.phase = .features
        connection.peerWantsDryRun = false
        connection.epoch = ReceivedEpoch()
        connection.lastReceived = now
        send(.connectionFeatures, nil, Self.ownFeatures)
        armPhaseDeadline()
    }

    /// Features and authentication must each make progress in time. Spec: drbd-wire 2.5.
    private func armPhaseDeadline() {
        connection.phaseDeadline = now + connection.pingTimeout * 4
    }

    /// Judges the header of a packet during features and authentication. False: the connection is over.
    func acceptsInHandshake(_ header: PacketHeader) -> Bool {
        if connection.phase == .features {
            guard header.command == .connectionFeatures, header.length == UInt32(ConnectionFeatures.byteCount) else {
                log(
                    .error,
                    "expected ConnectionFeatures packet, received: \(header.command?.name ?? "?") "
                        + "(\(hexadecimal(UInt64(header.commandNumber)))), l: \(header.length)")
                giveUp()
                return false
            }
            return true
        }
        guard let authentication = connection.authentication else { return false }
        guard let command = header.command else {
            log(.error, "expected AuthChallenge packet, received: \(hexadecimal(UInt64(header.commandNumber)))")
            giveUp()
            return false
        }
        return follow(authentication.judge(command, byteCount: Int(header.length)))
    }

    func receiveHandshakePacket(_ command: PacketCommand, _ body: UnsafeRawBufferPointer) -> PacketVerdict {
        do throws(LayoutError) {
            if connection.phase == .features {
                agree(on: try ConnectionFeatures(decoding: body))
            } else {
                let verdict = connection.authentication?.receive([UInt8](body), digests: digests)
                if let verdict { _ = follow(verdict) }
            }
            return .done
        } catch {
            return .violation("\(error)")
        }
    }

    private func agree(on peer: ConnectionFeatures) {
        guard let dialect = Self.ownFeatures.agreement(with: peer) else {
            log(
                .error,
                "incompatible DRBD dialects: I support \(Self.ownFeatures.versionMin)-\(Self.ownFeatures.versionMax), "
                    + "peer supports \(peer.versionMin)-\(peer.versionMax)")
            giveUp()
            return
        }
        connection.dialect = dialect
        log(.info, "Handshake successful: Agreed network protocol version \(dialect.version)")
        let names = [
            dialect.features.contains(.trim) ? "TRIM" : nil,
            dialect.features.contains(.thinResync) ? "THIN_RESYNC" : nil,
            dialect.features.contains(.writeSame) ? "WRITE_SAME" : nil,
            dialect.features.contains(.writeZeroes) ? "WRITE_ZEROES" : nil,
        ]
        let text = names.compactMap { $0 }.joined(separator: " ")
        let bits = hexadecimal(UInt64(dialect.features.rawValue))
        log(.info, "Feature flags enabled on protocol level: \(bits)\(text.isEmpty ? " none." : " \(text).")")
        guard let network = connection.network else { return }
        guard let algorithm = network.authenticationAlgorithm else {
            goLive()
            return
        }
        let authentication = ChallengeResponse(algorithm: algorithm, secret: network.sharedSecret, random: random)
        connection.authentication = authentication
        connection.phase = .authenticating
        armPhaseDeadline()
        sendBytes(.authChallenge, authentication.challenge)
    }

    /// False: the connection is over.
    private func follow(_ verdict: ChallengeResponse.Verdict) -> Bool {
        switch verdict {
        case .proceed:
            return true
        case .respond(let bytes):
            armPhaseDeadline()
            sendBytes(.authResponse, bytes)
            return true
        case .authenticated:
            let count = connection.network?.authenticationAlgorithm?.byteCount ?? 0
            log(.info, "Peer authenticated using \(count) bytes HMAC")
            connection.authentication = nil
            goLive()
            return true
        case .retry(let text):
            log(.error, text)
            failHandshake()
            return false
        case .giveUp(let text):
            log(.error, text)
            giveUp()
            return false
        }
    }

    private func sendBytes(_ command: PacketCommand, _ bytes: [UInt8]) {
        guard let channel = connection.data else { return }
        appendPacket(command, nil, length: bytes.count, to: channel) { $0.copyBytes(from: bytes) }
    }

    /// Tells the parameters; from now on packets of all kinds come. Spec: drbd-wire 7.
    private func goLive() {
        connection.phase = .live
        connection.phaseDeadline = nil
        connection.lastReceived = now
        startKeepAlive()
        for channel in connection.channels {
            channel.lastProgress = now
            channel.sendTimeoutsLeft = max(1, connection.network?.koCount ?? 7)
        }
        sendProtocol(.protocolSettings)
        for volume in volumes {
            resetForConnection(volume)
            sendParameters(volume)
        }
        changeAll(StateRequest(conn: .wfReportParams), .soft)
        if let meta = connection.meta { parse(meta) }
    }

    private func resetForConnection(_ volume: Volume) {
        volume.packetSequence = 0
        volume.peerSequence = 0
        volume.peerUUIDs = nil
        volume.peerUUIDFlags = []
        volume.considersResync = false
        volume.owesGenerationToPeer = false
        volume.stateChangeReply = nil
        volume.isBitmapSent = false
        volume.isNewToConnection = false
        volume.requestCheckNotBefore = now + (connection.requestTimeout ?? .zero)
    }

    /// What a volume tells when it joins the connection.
    func sendParameters(_ volume: Volume) {
        sendSyncParameters(volume)
        sendSizes(volume)
        sendUUIDs(volume)
        sendState(volume, volume.state)
        volume.isHandshakeStateSent = true
    }

    /// A step of connecting took too long.
    func checkPhaseDeadline() {
        guard let deadline = connection.phaseDeadline, deadline <= now else { return }
        connection.phaseDeadline = nil
        switch connection.phase {
        case .features:
            log(.error, "the peer did not send ConnectionFeatures in time")
            failHandshake()
        case .authenticating:
            log(.error, "the peer did not authenticate in time")
            failHandshake()
        case .off, .resting, .establishing, .live, .closing:
            break
        }
    }

    /// The attempt failed for a reason that may pass: again after a pause. Spec: drbd-wire 2.6.
    private func failHandshake() {
        connection.pausesBeforeRetry = true
        loseConnection(.networkFailure)
    }

    /// The attempt failed for a reason that only an administrator can remove: StandAlone.
    func giveUp() {
        log(.warning, "Discarding network configuration.")
        loseConnection(.disconnecting)
    }
}

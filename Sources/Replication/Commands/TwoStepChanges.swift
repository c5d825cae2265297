internal import DRBDLayout
internal import EngineKit

// State changes that need the peer's consent, from both sides. Spec: drbd-wire 8.4, drbd-disk-and-state 13.

extension ReplicationEngine {
    /// How long a transient state is waited out. Deviation: kernels wait until the administrator loses patience.
    private static let transientStateLimit = Duration.seconds(30)
    /// How long a promotion waits for the resync that a disk needs which stayed Inconsistent.
    private static let inconsistentLimit = Duration.seconds(3)

    // MARK: Asking

    /// Changes the state of a volume, with the peer's consent where the rules want it; `body` gets the result.
    /// A transient state is waited out for a while.
    func requestChange(
        _ volume: Volume, _ request: StateRequest, isQuiet: Bool = false, giveUpAt: Instant? = nil,
        _ body: @escaping (ReplicationEngine, StateChangeResult) -> Void
    ) {
        volume.isChangingState = true
        tryChange(volume, request, isQuiet: isQuiet) { engine, result in
            guard result == .inTransientState else {
                volume.isChangingState = false
                body(engine, result)
                return
            }
            let patience = engine.isLeftInconsistent(volume) ? Self.inconsistentLimit : Self.transientStateLimit
            let limit = giveUpAt ?? engine.now + patience
            let count = engine.stateChangeCount
            engine.after(limit - engine.now) { $0.changed() }
            engine.when({ $0.stateChangeCount != count || $0.now >= limit }) { engine in
                guard engine.stateChangeCount != count else {
                    volume.isChangingState = false
                    return body(engine, result)
                }
                engine.requestChange(volume, request, isQuiet: isQuiet, giveUpAt: limit, body)
            }
        }
    }

    private func tryChange(
        _ volume: Volume, _ request: StateRequest, isQuiet: Bool,
        _ body: @escaping (ReplicationEngine, StateChangeResult) -> Void
    ) {
        let decision = decide(volume, request, .soft)
        let isAsked =
            decision.result == .success && connection.isLive
            && StateRules.needsPeerConsent(from: volume.state, to: decision.wanted)
        guard isAsked else {
            let isLoud = !isQuiet && decision.result != .inTransientState
            body(self, change(volume, request, .soft, isQuiet: !isLoud))
            return
        }
        volume.stateChangeReply = nil
        send(.stateChangeRequest, volume, request.change)
        let serial = connection.serial
        when({ engine in
            volume.stateChangeReply != nil || engine.connection.serial != serial || !engine.connection.isLive
        }) { engine in
            if let reply = volume.stateChangeReply, !reply.isSuccess {
                volume.stateChangeReply = nil
                body(engine, .refusedByPeer)
                return
            }
            volume.stateChangeReply = nil
            body(engine, engine.change(volume, request, .soft, isQuiet: isQuiet))
        }
    }

    /// The same for the connection as a whole.
    func requestConnectionChange(
        _ request: StateRequest, isQuiet: Bool = false,
        _ body: @escaping (ReplicationEngine, StateChangeResult) -> Void
    ) {
        connection.isChangingState = true
        tryConnectionChange(request, isQuiet: isQuiet) { engine, result in
            guard result == .inTransientState else {
                engine.connection.isChangingState = false
                body(engine, result)
                return
            }
            let (count, state) = (engine.stateChangeCount, engine.connection.state)
            engine.when({ $0.stateChangeCount != count || $0.connection.state != state }) { engine in
                engine.requestConnectionChange(request, isQuiet: isQuiet, body)
            }
        }
    }

    private func tryConnectionChange(
        _ request: StateRequest, isQuiet: Bool,
        _ body: @escaping (ReplicationEngine, StateChangeResult) -> Void
    ) {
        let decisions = volumes.map { decide($0, request, .soft) }
        if let refused = decisions.first(where: { !$0.result.isSuccess }) {
            if !isQuiet && refused.result != .inTransientState { changeAll(request, .soft) }
            body(self, refused.result)
            return
        }
        let isAsked =
            connection.isLive
            && (volumes.isEmpty
                || zip(volumes, decisions).contains {
                    StateRules.needsPeerConsent(from: $0.state, to: $1.wanted)
                })
        guard isAsked else {
            body(self, changeAll(request, .soft, isQuiet: isQuiet))
            return
        }
        connection.stateChangeReply = nil
        send(.connectionStateChangeRequest, nil, request.change)
        let serial = connection.serial
        when({ engine in
            engine.connection.stateChangeReply != nil || engine.connection.serial != serial
                || !engine.connection.isLive
        }) { engine in
            let reply = engine.connection.stateChangeReply
            engine.connection.stateChangeReply = nil
            if let reply, !reply.isSuccess {
                body(engine, .refusedByPeer)
                return
            }
            body(engine, engine.changeAll(request, .soft, isQuiet: isQuiet))
        }
    }

    func receiveStateReply(_ code: Int32, _ volume: Volume) -> PacketVerdict {
        volume.stateChangeReply = replyResult(code, of: "\(name)/\(volume.number)")
        changed()
        return .done
    }

    func receiveConnectionStateReply(_ code: Int32) -> PacketVerdict {
        connection.stateChangeReply = replyResult(code, of: name)
        changed()
        return .done
    }

    private func replyResult(_ code: Int32, of what: String) -> StateChangeResult {
        if code >= 1 { return .success }
        let result = StateChangeResult(rawValue: code) ?? .unknownError
        log(.error, "Requested state change failed by peer: \(result.text) (\(code))")
        return result
    }

    // MARK: Answering

    /// P_STATE_CHG_REQ: the change is made here first, then the peer makes it.
    func receiveStateRequest(_ change: StateChange, _ volume: Volume) -> PacketVerdict {
        if connection.resolvesConflicts && volume.isChangingState {
            reply(.concurrentChange, volume)
            return .done
        }
        guard let request = StateRequest(change)?.seenFromOtherSide() else {
            reply(.refusedByPeer, volume)
            return .done
        }
        let result = self.change(volume, request, .soft)
        guard request.disk != nil else {
            reply(result, volume)
            return .done
        }
        // What the peer wants of this disk must be durable before it may rely on it.
        enqueue(.receiver) { engine in
            engine.syncMetadata(volume, .receiver) { engine in engine.reply(result, volume) }
        }
        return .done
    }

    private func reply(_ result: StateChangeResult, _ volume: Volume) {
        sendMeta(.stateChangeReply, volume, StateChangeReply(code: result.rawValue))
    }

    /// P_CONN_ST_CHG_REQ: a disconnect of the peer, perhaps with the wish that this node outdates itself.
    func receiveConnectionStateRequest(_ change: StateChange) -> PacketVerdict {
        if connection.resolvesConflicts && connection.isChangingState {
            sendConnectionReply(.concurrentChange)
            return .done
        }
        guard let request = StateRequest(change)?.seenFromOtherSide() else {
            sendConnectionReply(.refusedByPeer)
            return .done
        }
        let result = changeAllForPeer(request)
        guard result.isSuccess else {
            sendConnectionReply(result)
            return .done
        }
        // What the peer asked for must be durable before it may rely on it.
        for volume in volumes {
            enqueue(.receiver) { engine in engine.syncMetadata(volume, .receiver) }
        }
        enqueue(.receiver) { engine in
            engine.sendConnectionReply(result)
            if request.conn == .tearDown { engine.loseConnection(.tearDown) }
            return .done
        }
        return .done
    }

    private func sendConnectionReply(_ result: StateChangeResult) {
        sendMeta(.connectionStateChangeReply, nil, StateChangeReply(code: result.rawValue))
    }

    /// A wish to be outdated is dropped where the disk is worse already. Spec: drbd-disk-and-state 13.
    private func changeAllForPeer(_ request: StateRequest) -> StateChangeResult {
        guard request.disk == .outdated, volumes.contains(where: { $0.state.disk < .outdated }) else {
            return changeAll(request, .soft)
        }
        for volume in volumes where volume.state.disk >= .outdated {
            let result = change(volume, StateRequest(conn: request.conn, disk: request.disk), .soft)
            guard result.isSuccess else { return result }
        }
        var plain = request
        plain.disk = nil
        return changeAll(plain, .soft)
    }
}

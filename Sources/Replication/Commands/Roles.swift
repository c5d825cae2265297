internal import DRBDLayout
internal import EngineKit

// Promotion and demotion. Spec: drbd-disk-and-state 14.1, 14.2.

/// A promotion under way.
private struct Promotion {
    let volume: Volume
    let isForced: Bool
    var request = StateRequest(role: .primary)
    var triesLeft = 4
    /// The own disk was declared UpToDate by force.
    var overrodeDisk = false
    var hasWaitedForPeer = false
}

extension ReplicationEngine {
    func promote(_ volume: Volume, force: Bool, _ id: CommandID) {
        if volume.state.role == .primary && !force { return finish(id, .success) }
        let promotion = Promotion(volume: volume, isForced: force)
        // Finds a dead peer early.
        volume.isChangingState = true
        whenPeerAnswers { engine in
            engine.tryPromotion(promotion) { engine, result, promotion in
                engine.concludePromotion(promotion, result, id)
            }
        }
    }

    /// Runs `body` when the peer answered a ping, at once without a peer, or when the connection is lost.
    private func whenPeerAnswers(_ body: @escaping (ReplicationEngine) -> Void) {
        guard connection.isLive else { return body(self) }
        final class Answer { var hasCome = false }
        let answer = Answer()
        let serial = connection.serial
        ping { _ in answer.hasCome = true }
        when({ answer.hasCome || $0.connection.serial != serial || !$0.connection.isLive }, body)
    }

    private func tryPromotion(
        _ promotion: Promotion,
        _ body: @escaping (ReplicationEngine, StateChangeResult, Promotion) -> Void
    ) {
        var promotion = promotion
        promotion.triesLeft -= 1
        let isLast = promotion.triesLeft <= 0
        requestChange(promotion.volume, promotion.request, isQuiet: !isLast) { engine, result in
            if isLast {
                body(engine, result, promotion)
            } else {
                engine.considerPromotion(promotion, result, body)
            }
        }
    }

    /// What to do about the result of a try.
    private func considerPromotion(
        _ promotion: Promotion, _ result: StateChangeResult,
        _ body: @escaping (ReplicationEngine, StateChangeResult, Promotion) -> Void
    ) {
        var next = promotion
        let volume = promotion.volume
        let disk = volume.state.disk
        switch result {
        case _ where result.isSuccess:
            body(self, result, promotion)
        case .inTransientState where isLeftInconsistent(volume):
            body(self, refuseInconsistent(promotion), promotion)
        case .refusedByPeer where promotion.request.pdsk != nil:
            next.request.pdsk = nil
            tryPromotion(next, body)
        case .refusedByPeer where !promotion.hasWaitedForPeer:
            // Both asked at once: one is refused and repeats it.
            next.hasWaitedForPeer = true
            next.triesLeft = max(1, next.triesLeft)
            tryPromotion(next, body)
        case .noUpToDateDisk
        where promotion.isForced && disk < .upToDate && disk >= .inconsistent && disk != .unknown
            && promotion.request.disk == nil:
            next.request.disk = .upToDate
            next.overrodeDisk = true
            tryPromotion(next, body)
        case .noUpToDateDisk where disk == .consistent && promotion.request.pdsk == nil:
            fencePeer { engine, isFenced in
                if isFenced {
                    next.request.disk = .upToDate
                    next.request.pdsk = engine.fencedPeerDisk(volume)
                }
                engine.tryPromotion(next, body)
            }
        case .primaryNeedsPeerOutdated where promotion.request.pdsk == nil:
            fencePeer { engine, isFenced in
                if !isFenced && promotion.isForced {
                    engine.log(.warning, volume, "Forced into split brain situation!")
                    next.request.pdsk = .outdated
                    next.overrodeDisk = true
                }
                engine.tryPromotion(next, body)
            }
        case .twoPrimaries where !promotion.hasWaitedForPeer:
            // The peer may be dead or demoting: its ping time-out tells. Spec: drbd-wire 8.4.
            next.hasWaitedForPeer = true
            next.triesLeft = 1
            after(.deciseconds((connection.network?.pingTimeout ?? 0) + 1)) { engine in
                engine.tryPromotion(next, body)
                engine.changed()
            }
        default:
            next.triesLeft = 1
            tryPromotion(next, body)
        }
    }

    /// Blocks of the last resync failed, and no other one came while this promotion waited.
    ///
    /// Deviation: kernels take the state for one that will pass and wait until the tool is killed (cmd-timeout-medium).
    private func refuseInconsistent(_ promotion: Promotion) -> StateChangeResult {
        let (volume, result) = (promotion.volume, StateChangeResult.noUpToDateDisk)
        let wanted = decide(volume, promotion.request, .soft).wanted
        for line in StateLog.refusal(result, state: volume.state, wanted: wanted) { log(.error, volume, line) }
        return result
    }

    /// What fencing found, as far as it goes beyond what the state knows.
    private func fencedPeerDisk(_ volume: Volume) -> DiskState? {
        volume.state.pdsk > .outdated ? .outdated : nil
    }

    private func concludePromotion(_ promotion: Promotion, _ result: StateChangeResult, _ id: CommandID) {
        let volume = promotion.volume
        volume.isChangingState = false
        guard result.isSuccess else { return finish(id, result) }
        connection.once.discardMyData = false
        let disk = volume.usableDisk
        if disk == nil, volume.state.pdsk == .upToDate, let peer = volume.peerUUIDs {
            volume.exposedUUID = peer.current
        }
        let isAlone = volume.state.conn < .connected || volume.state.pdsk <= .failed
        let mayPeerHaveIt = disk?.uuids.bitmap == 0 || disk?.uuids.isResyncOpen == true
        let isNewGeneration = promotion.overrodeDisk || (isAlone && mayPeerHaveIt)
        volume.holdCount += 1
        let conclude: (ReplicationEngine) -> Void = { engine in
            volume.holdCount -= 1
            if volume.state.conn >= .wfReportParams {
                if promotion.overrodeDisk { engine.sendUUIDs(volume) }
                engine.sendState(volume, volume.state)
            }
            engine.finish(id, .success)
        }
        if isNewGeneration, disk != nil {
            makeNewGeneration(volume, keepsBitmap: !promotion.overrodeDisk, conclude)
        } else if let disk {
            disk.uuids.setRole(isPrimary: true)
            disk.touch()
            syncMetadata(volume, conclude)
        } else {
            conclude(self)
        }
    }

    // MARK: Demotion

    /// Nothing that an application was told may be on its way when the role changes: a Secondary begins no generation
    /// when its connection breaks, and would come back as equal with data that the peer lacks.
    ///
    /// Deviation: kernels change the role first and wait then.
    func demote(_ volume: Volume, _ body: @escaping (ReplicationEngine, StateChangeResult) -> Void) {
        let request = StateRequest(role: .secondary)
        guard volume.state.role == .primary, decide(volume, request, .soft).result == .success else {
            return changeToSecondary(volume, body)
        }
        whenPeerHasAll(volume) { engine in engine.changeToSecondary(volume, body) }
    }

    private func changeToSecondary(
        _ volume: Volume, _ body: @escaping (ReplicationEngine, StateChangeResult) -> Void
    ) {
        requestChange(volume, StateRequest(role: .secondary)) { engine, result in
            guard result == .success else { return body(engine, result) }
            engine.when({ _ in volume.counters.applicationPending == 0 }) { engine in
                if let disk = volume.usableDisk {
                    disk.uuids.setRole(isPrimary: false)
                    disk.touch()
                }
                let conclude: (ReplicationEngine) -> Void = { engine in
                    if volume.state.conn >= .wfReportParams { engine.sendState(volume, volume.state) }
                    body(engine, .success)
                }
                // The bitmap is on disk before PRIMARY_IND leaves it, see PrimaryIndicator.swift.
                engine.when({ _ in volume.usableDisk?.owesBitmap != true }) { engine in
                    engine.syncMetadata(volume, conclude)
                }
            }
        }
    }

    /// Runs `body` when all requests of the volume are answered, the peer has acknowledged their epochs, and it lacks
    /// nothing that it was only told of (Ahead). When the connection breaks first, what the peer lacks is marked and a
    /// new generation begins.
    private func whenPeerHasAll(_ volume: Volume, _ body: @escaping (ReplicationEngine) -> Void) {
        when({ _ in volume.counters.applicationPending == 0 }) { engine in
            let last = engine.closedEpoch()
            let serial = engine.connection.serial
            let isOver: (ReplicationEngine) -> Bool = { engine in
                let connection = engine.connection
                guard connection.isLive, connection.serial == serial else { return connection.phase != .closing }
                return volume.state.conn != .ahead && engine.isAcknowledged(upTo: last)
            }
            engine.when(isOver, body)
        }
    }
}

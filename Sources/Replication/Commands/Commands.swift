internal import DRBDLayout
internal import EngineKit

/// The command that runs in the lane of commands.
struct RunningCommand {
    let id: CommandID
    let ticket: SerialWork.Ticket
}

// Commands run one at a time, as with the classic tools; those that may free a stuck one run at once.
// Spec: drbd-disk-and-state 14.

extension ReplicationEngine {
    func execute(_ command: Command, id: CommandID) {
        switch command {
        case .disconnect(force: true), .detach(_, force: true), .suspendIO, .resumeIO:
            run(command, id)
        default:
            enqueue(.commands) { engine in
                engine.runningCommand = RunningCommand(id: id, ticket: engine.ticket(.commands))
                engine.run(command, id)
                return .waits
            }
        }
    }

    /// Answers a command; the next one may begin.
    func answer(_ id: CommandID, _ result: CommandResult) {
        actions.append(.finish(id, result))
        if let running = runningCommand, running.id == id {
            runningCommand = nil
            resume(running.ticket)
        }
        changed()
    }

    func finish(_ id: CommandID, _ result: StateChangeResult) {
        answer(id, result.isSuccess ? .success : .refused(result))
    }

    func fail(_ id: CommandID, _ number: ErrorNumber, _ info: String? = nil) {
        answer(id, .failed(number, info: info))
    }

    private func run(_ command: Command, _ id: CommandID) {
        switch command {
        case .addVolume(let number): addVolume(number, id)
        case .resourceOptions(let options):
            self.options = options
            finish(id, .success)
        case .connect(let network, let once): connect(network, once, id)
        case .networkOptions(let network): changeNetworkOptions(network, id)
        case .disconnect(let force): disconnect(force: force) { engine, result in engine.finish(id, result) }
        case .down: down(id)
        case .removeVolume(let number), .attach(let number, _, _), .diskOptions(let number, _),
            .detach(let number, _), .primary(let number, _), .secondary(let number), .invalidate(let number),
            .invalidateRemote(let number), .verify(let number, _, _), .pauseSync(let number),
            .resumeSync(let number), .suspendIO(let number), .resumeIO(let number), .yieldToPeer(let number),
            .outdate(let number), .newCurrentUUID(let number, _):
            guard let volume = volume(number) else {
                if case .attach(let number, _, _) = command { actions.append(.releaseBackingDevices(number)) }
                fail(id, .minorNotAllocated)
                return
            }
            run(command, on: volume, id)
        }
    }

    private func run(_ command: Command, on volume: Volume, _ id: CommandID) {
        switch command {
        case .removeVolume: removeVolume(volume, id)
        case .attach(_, let device, let options): attach(volume, device, options, id)
        case .diskOptions(_, let options): changeDiskOptions(volume, options, id)
        case .detach(_, let force): detach(volume, force: force) { engine, result in engine.finish(id, result) }
        case .primary(_, let force): promote(volume, force: force, id)
        case .secondary: demote(volume) { engine, result in engine.finish(id, result) }
        case .invalidate: invalidate(volume, id)
        case .invalidateRemote: invalidateRemote(volume, id)
        case .verify(_, let start, let stop): startVerify(volume, start: start, stop: stop, id)
        case .pauseSync: pauseSync(volume, id)
        case .resumeSync: resumeSync(volume, id)
        case .suspendIO: suspendIO(id)
        case .resumeIO: resumeIO(id)
        case .yieldToPeer: yieldToPeer(id)
        case .outdate:
            requestChange(volume, StateRequest(disk: .outdated)) { engine, result in
                engine.syncMetadata(volume) { engine in engine.finish(id, result) }
            }
        case .newCurrentUUID(_, let clearBitmap): newCurrentUUID(volume, clearBitmap: clearBitmap, id)
        case .addVolume, .resourceOptions, .connect, .networkOptions, .disconnect, .down:
            preconditionFailure("\(command) is not for one volume")
        }
    }

    // MARK: Volumes

    private func addVolume(_ number: VolumeNumber, _ id: CommandID) {
        guard volume(number) == nil else { return fail(id, .minorOrVolumeExists) }
        var state = volumes.first?.state ?? DeviceState()
        state = DeviceState(
            conn: connection.state, susp: state.susp, suspNod: state.suspNod, suspFen: state.suspFen)
        let volume = Volume(number: number, state: state)
        volumes.append(volume)
        volumes.sort { $0.number < $1.number }
        actions.append(.changed(.volume(number, from: DeviceState(), to: state)))
        if connection.isLive {
            volume.isNewToConnection = true
            sendParameters(volume)
        }
        finish(id, .success)
    }

    private func removeVolume(_ volume: Volume, _ id: CommandID) {
        guard volume.state.disk == .diskless, volume.state.role == .secondary, volume.openCount == 0 else {
            return fail(id, .minorInUse)
        }
        volumes.removeAll { $0 === volume }
        finish(id, .success)
    }

    // MARK: Connection

    private func connect(_ network: NetworkOptions, _ once: ConnectOnce, _ id: CommandID) {
        guard connection.phase == .off else { return fail(id, .alreadyConfigured) }
        if let number = defect(of: network) { return fail(id, number) }
        if once.discardMyData && isPrimaryAnywhere() { return fail(id, .discardWhilePrimary) }
        connection.network = network
        connection.once = once
        connection.state = .standAlone
        actions.append(.changed(.networkConfiguration(isPresent: true)))
        let result = changeAll(StateRequest(conn: .unconnected), .soft)
        guard result.isSuccess else {
            connection.network = nil
            actions.append(.changed(.networkConfiguration(isPresent: false)))
            return finish(id, result)
        }
        connection.phase = .resting
        connection.serial += 1
        enqueue(.worker) { engine in
            if engine.connection.phase == .resting { engine.startEstablishing() }
            return .done
        }
        finish(id, .success)
    }

    /// What contradicts itself. Spec: drbd-disk-and-state 14.3.
    private func defect(of network: NetworkOptions) -> ErrorNumber? {
        if network.allowTwoPrimaries && network.wireProtocol != .c { return .twoPrimariesNeedProtocolC }
        let isStonith = volumes.contains { $0.disk?.options.fencing == .resourceAndStonith }
        if isStonith && network.wireProtocol == .a { return .fencingNeedsProtocolBOrC }
        if network.onCongestion != .block && network.wireProtocol != .a { return .congestionNeedsProtocolA }
        if network.authenticationAlgorithm == .crc32c { return .authenticationAlgorithmNoDigest }
        return nil
    }

    /// Spec: drbd-wire 6.1 (P_PROTOCOL_UPDATE).
    private func changeNetworkOptions(_ network: NetworkOptions, _ id: CommandID) {
        guard let old = connection.network else { return fail(id, .invalidRequest) }
        if let number = defect(of: network) { return fail(id, number) }
        let hasTwoPrimaries = volumes.contains { $0.state.role == .primary && $0.state.peer == .primary }
        if old.allowTwoPrimaries && !network.allowTwoPrimaries && hasTwoPrimaries { return fail(id, .bothPrimary) }
        let isVerifying = volumes.contains { $0.state.conn.isVerify }
        if isVerifying && old.verifyAlgorithm != network.verifyAlgorithm { return fail(id, .verifyAlgorithmInUse) }
        connection.network = network
        if connection.isLive {
            sendProtocol(.protocolUpdate)
            for volume in volumes where volume.state.conn >= .wfReportParams { sendSyncParameters(volume) }
        }
        finish(id, .success)
    }

    /// Spec: drbd-disk-and-state 14.3.
    func disconnect(force: Bool, _ body: @escaping (ReplicationEngine, StateChangeResult) -> Void) {
        guard connection.phase != .off else { return body(self, .success) }
        if force {
            endByAdministrator(body)
            return
        }
        requestConnectionChange(StateRequest(conn: .disconnecting), isQuiet: true) { engine, result in
            engine.continueDisconnect(result, body)
        }
    }

    private func continueDisconnect(
        _ result: StateChangeResult, _ body: @escaping (ReplicationEngine, StateChangeResult) -> Void
    ) {
        switch result {
        case _ where result.isSuccess:
            endByAdministrator(body)
        case .alreadyStandAlone:
            body(self, .success)
        case .primaryNeedsPeerOutdated:
            requestConnectionChange(StateRequest(conn: .disconnecting, pdsk: .outdated), isQuiet: true) {
                engine, result in
                if result == .needsConnectionForOutdate {
                    engine.endByAdministrator(body)
                } else if result.isSuccess {
                    engine.endByAdministrator(body)
                } else {
                    body(engine, result)
                }
            }
        case .refusedByPeer:
            guard connection.isLive else { return disconnect(force: false, body) }
            let canBeOutdated = volumes.contains { $0.state.disk >= .outdated && $0.state.disk != .unknown }
            guard canBeOutdated else { return endByAdministrator(body) }
            requestConnectionChange(StateRequest(conn: .disconnecting, disk: .outdated)) { engine, result in
                if result.isSuccess { engine.endByAdministrator(body) } else { body(engine, result) }
            }
        default:
            body(self, result)
        }
    }

    /// Ends the connection; `body` runs when it is StandAlone.
    private func endByAdministrator(_ body: @escaping (ReplicationEngine, StateChangeResult) -> Void) {
        loseConnection(.disconnecting)
        when({ $0.connection.phase == .off }) { engine in body(engine, .success) }
    }

    // MARK: Down

    /// Spec: drbd-disk-and-state 14.7.
    private func down(_ id: CommandID) {
        demoteAll(volumes) { engine, result in
            guard result.isSuccess else { return engine.finish(id, result) }
            engine.disconnect(force: false) { engine, result in
                guard result.isSuccess else { return engine.finish(id, result) }
                engine.detachAll(engine.volumes) { engine, result in
                    engine.when({ engine in
                        engine.volumes.allSatisfy { $0.disk == nil } && engine.worker.isIdle
                    }) { engine in
                        engine.finish(id, result)
                    }
                }
            }
        }
    }

    private func demoteAll(
        _ rest: [Volume], _ body: @escaping (ReplicationEngine, StateChangeResult) -> Void
    ) {
        guard let volume = rest.first else { return body(self, .success) }
        demote(volume) { engine, result in
            guard result.isSuccess else { return body(engine, result) }
            engine.demoteAll(Array(rest.dropFirst()), body)
        }
    }

    private func detachAll(
        _ rest: [Volume], _ body: @escaping (ReplicationEngine, StateChangeResult) -> Void
    ) {
        guard let volume = rest.first else { return body(self, .success) }
        detach(volume, force: false) { engine, result in
            guard result.isSuccess else { return body(engine, result) }
            engine.detachAll(Array(rest.dropFirst()), body)
        }
    }
}

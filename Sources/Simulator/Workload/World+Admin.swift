internal import DRBDLayout
internal import EngineKit
internal import Replication

// Scripts of commands on one host, and the programs' start and end.
extension World {
    /// Does the next steps of a host's script, until one must be waited for.
    func runScript(host index: Int) {
        let host = hosts[index]
        if host.admin.wakeTime == now { host.admin.wakeTime = nil }
        while host.isRunning, host.admin.awaited == nil, !host.admin.script.isEmpty, failure == nil {
            if host.admin.sleepsUntil > now { return wake(host, at: host.admin.sleepsUntil) }
            switch host.admin.script.removeFirst() {
            case .command(let command, let name, let isFailureTolerated):
                issue(host: host, command, name: name, isFailureTolerated: isFailureTolerated)
            case .stopLoad:
                host.application.isLoading = false
                if host.application.outstanding > 0 {
                    host.admin.script.insert(.stopLoad, at: 0)
                    // What was frozen meanwhile never ends by itself: let it fail.
                    if let volume = host.states.firstIndex(where: { $0.isSuspended }) {
                        host.admin.script.insert(
                            simple(.resumeIO(VolumeNumber(UInt16(volume))), "resume-io \(volume)"), at: 0)
                    }
                    return wake(host, at: now + 50_000_000)
                }
            case .closeVolumes:
                guard host.application.isOpen else { continue }
                host.application.isOpen = false
                for volume in host.states.indices { feed(host: index, .closed(VolumeNumber(UInt16(volume)))) }
            case .openVolumes: openVolumes(host)
            case .sleep(let span): host.admin.sleepsUntil = now + span
            case .exit: exit(host)
            }
        }
    }

    private func openVolumes(_ host: SimulatedHost) {
        guard host.isPrimaryOnAll, !host.application.isOpen else { return }
        host.application.isOpen = true
        for volume in host.states.indices { feed(host: host.index, .opened(VolumeNumber(UInt16(volume)))) }
        startLoad(host: host)
    }

    private func wake(_ host: SimulatedHost, at time: UInt64) {
        if let wakeTime = host.admin.wakeTime, wakeTime <= time { return }
        host.admin.wakeTime = time
        queue.add(.admin(host: host.index), at: time)
    }

    private func issue(host: SimulatedHost, _ command: Command, name: String, isFailureTolerated: Bool) {
        commandCount += 1
        let id = CommandID(commandCount)
        host.admin.awaited = id
        host.admin.isFailureTolerated = isFailureTolerated
        host.admin.commandName = name
        trace.note(.command, host: host.index, commandCount, Trace.hash(of: name), name)
        if case .connect(_, let once) = command {
            host.admin.connectedToDiscard = once.discardMyData
            host.admin.sawSplitBrain = false
        }
        if case .attach(let volume, _, _) = command { host.admin.attaching = Int(volume.rawValue) }
        if case .secondary(let volume) = command, host.states[Int(volume.rawValue)].role == .primary {
            host.admin.demoting = Int(volume.rawValue)
        }
        feed(host: host.index, .command(id, command))
    }

    /// An engine answered a command.
    func finished(host: SimulatedHost, _ command: CommandID, _ result: CommandResult) {
        trace.note(.result, host: host.index, command.rawValue, "\(host.admin.commandName): \(result)")
        if result == .success, let volume = host.admin.demoting { checkDemoted(host, volume) }
        host.admin.demoting = nil
        guard host.admin.awaited == command else {
            return fail("\(host.name) answers command \(command.rawValue), which nobody waits for")
        }
        host.admin.awaited = nil
        if case .failed(.dataNotCurrent, _) = result { host.admin.isDataNotCurrent = true }
        if case .failed(.uncleanMetadata, _) = result, let volume = host.admin.attaching {
            applyActivityLog(host, volume)
            host.admin.script.insert(attachStep(host, volume), at: 0)
        } else if result != .success, !host.admin.isFailureTolerated {
            host.admin.script.removeAll()
        }
        host.admin.attaching = nil
        // Not at once: the engine is in the middle of its actions.
        wake(host, at: now + 1_000)
    }

    // MARK: Start and end

    /// Starts the program, as an init script does: volumes, disks, connection. The role comes later.
    func boot(host index: Int) {
        let host = hosts[index]
        guard !host.isRunning else { return }
        if !host.isPowered {
            host.isPowered = true
            network.powerReturns(host: index)
        }
        host.incarnation += 1
        trace.note(.host, host: index, UInt64(host.incarnation), "start number \(host.incarnation)")
        let seed = scenario.seed &* 31 &+ UInt64(index) &* 7 &+ UInt64(host.incarnation) &* 1_000_003
        let engine = ReplicationEngine(
            name: "r0", options: scenario.resource, random: SeededRandom(seed: seed), digests: SimulatedDigests(),
            buffers: IOBufferPool(), faults: plantedFaults)
        host.engine = engine
        host.states = Array(repeating: DeviceState(), count: host.states.count)
        host.admin = AdminState()
        host.tickTime = nil
        for volume in host.states.indices {
            let number = VolumeNumber(UInt16(volume))
            host.admin.script.append(
                .command(.addVolume(number), name: "new-minor \(volume)", isFailureTolerated: false))
        }
        for volume in host.states.indices { host.admin.script.append(attachStep(host, volume)) }
        host.admin.script.append(connectStep(host, discards: false))
        runScript(host: index)
        updateModels(changed: index)
    }

    /// `up` and `attach` let the offline tool look first when the metadata is not clean.
    private func applyActivityLog(_ host: SimulatedHost, _ volume: Int) {
        switch OfflineTools.applyActivityLog(
            disk: host.disks[volume].metadata, isInternal: host.plan.hasInternalMetadata)
        {
        case .success(let extents):
            if extents > 0 { reach(.activityLogReplay) }
            trace.note(.host, host: host.index, UInt64(extents), "apply-al \(volume): \(extents) extents marked")
        case .failure(let refusal): fail("\(host.name): apply-al of volume \(volume): \(refusal.reason)")
        }
    }

    func attachStep(_ host: SimulatedHost, _ volume: Int) -> AdminStep {
        .command(
            .attach(VolumeNumber(UInt16(volume)), host.backingDevice(of: volume), host.plan.options),
            name: "attach \(volume)", isFailureTolerated: true)
    }

    func connectStep(_ host: SimulatedHost, discards: Bool) -> AdminStep {
        var once = ConnectOnce()
        once.discardMyData = discards
        return .command(
            .connect(host.plan.network, once), name: discards ? "connect --discard-my-data" : "connect",
            isFailureTolerated: true)
    }

    /// The program ended by itself: nothing was under way.
    private func exit(_ host: SimulatedHost) {
        reach(.downAndUp)
        stopProgram(host)
        for pair in host.disks {
            pair.data.crashOfProgram(.everythingReached)
            if pair.metadata !== pair.data { pair.metadata.crashOfProgram(.everythingReached) }
        }
        network.crashOfProgram(host: host.index)
        queue.add(.boot(host: host.index), at: now + scenario.habits.restartDelay)
    }

    /// The engine and everything that waited for it is gone.
    func stopProgram(_ host: SimulatedHost) {
        host.engine = nil
        host.states = Array(repeating: DeviceState(), count: host.states.count)
        host.admin = AdminState()
        host.tickTime = nil
        host.application.isLoading = false
        host.application.isOpen = false
        host.application.outstanding = 0
        for worker in host.application.workers.indices { host.application.workers[worker].isBusy = false }
        for number in requests.indices where requests[number].host == host.index && requests[number].state == .underWay
        {
            requests[number].state = .dead
            requests[number].data = nil
            requests[number].view = nil
        }
    }
}

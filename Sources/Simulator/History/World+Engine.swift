internal import DRBDLayout
internal import EngineKit
internal import Replication

// Inputs into engines, actions out of them.
extension World {
    /// Gives an engine an input, carries out what it answers, and goes on with inputs that come of that.
    func feed(host index: Int, _ input: Input) {
        let host = hosts[index]
        guard host.isRunning else { return }
        host.inputs.append(input)
        guard !host.isFeeding else { return }
        host.isFeeding = true
        while host.firstInput < host.inputs.count, let engine = host.engine, failure == nil {
            let next = host.inputs[host.firstInput]
            host.firstInput += 1
            traceInput(host: index, next)
            actions.removeAll(keepingCapacity: true)
            engine.handle(next, now: host.clock.reading(at: now), into: &actions)
            let taken = actions
            perform(host: host, taken)
        }
        host.inputs.removeAll(keepingCapacity: true)
        host.firstInput = 0
        host.isFeeding = false
        arm(host)
    }

    private func perform(host: SimulatedHost, _ actions: [Action]) {
        // The models must know of a lost connection before they judge what was completed because of it.
        for action in actions {
            if case .changed(let event) = action { announced(host: host, event) }
        }
        let incarnation = host.incarnation
        for action in actions where host.isCurrent(incarnation) { perform(host: host, action) }
    }

    private func perform(host: SimulatedHost, _ action: Action) {
        switch action {
        case .listen:
            trace.note(.action, host: host.index, 1, "listen")
            network.setListening(host: host.index, true)
        case .stopListening:
            trace.note(.action, host: host.index, 2, "stop listening")
            network.setListening(host: host.index, false)
        case .connect(let socket):
            trace.note(.action, host: host.index, 3, UInt64(socket.rawValue), "connect \(socket.rawValue)")
            network.connect(
                host: host.index, socket, timeout: UInt64(host.plan.network.connectInterval) * 1_000_000_000)
        case .transmit(let socket): transmit(host: host, socket)
        case .resumeReceiving(let socket): drain(host: host.index, socket)
        case .close(let socket):
            trace.note(.action, host: host.index, 4, UInt64(socket.rawValue), "close \(socket.rawValue)")
            network.close(host: host.index, socket)
        case .submit(let operation): submit(host: host, operation)
        case .releaseBackingDevices(let volume):
            trace.note(.action, host: host.index, 5, UInt64(volume.rawValue), "release disks of volume \(volume)")
        case .complete(let request, let errno): completed(host: host, request, errno: errno)
        case .finish(let command, let result): finished(host: host, command, result)
        case .runHandler(let call): runHandler(host: host, call)
        case .log(let record): logged(host: host, record)
        case .changed: break
        }
    }

    // MARK: Time

    /// Puts a tick into the queue for the engine's next deadline.
    func arm(_ host: SimulatedHost) {
        guard let engine = host.engine, let deadline = engine.nextDeadline else { return }
        guard let time = host.clock.worldTime(of: deadline, notBefore: now) else { return }
        if let tickTime = host.tickTime, tickTime <= time { return }
        host.tickTime = time
        queue.add(.tick(host: host.index, incarnation: host.incarnation), at: time)
    }

    func tick(host index: Int, incarnation: Int) {
        let host = hosts[index]
        guard host.isCurrent(incarnation), host.tickTime == now else { return }
        host.tickTime = nil
        host.ticksAtSameTime += 1
        if host.ticksAtSameTime > 10_000 {
            return fail(
                "\(host.name) asks for \(host.ticksAtSameTime) ticks without anything else: its deadline stands still")
        }
        feed(host: index, .tick)
    }

    // MARK: Disks

    private func submit(host: SimulatedHost, _ operation: DiskOperation) {
        let (ticket, latency) = host.disk(of: operation.device).submit(operation)
        trace.note(
            .action, host: host.index, 6 &+ operation.offset, UInt64(operation.byteCount),
            "disk \(operation.device.volume) \(operation.device.part): \(Self.describe(operation.kind)) "
                + "\(operation.offset / 512)+\(operation.byteCount / 512)")
        if operation.device.part == .metadata { observeMetadata(host: host, operation) }
        queue.add(
            .diskDone(
                host: host.index, incarnation: host.incarnation, operation.device, ticket: ticket, operation.id),
            at: now + UInt64(latency))
    }

    func diskDone(
        host index: Int, incarnation: Int, _ device: BackingDeviceID, ticket: Int, _ operation: OperationID
    ) {
        let host = hosts[index]
        guard host.isCurrent(incarnation) else { return }
        let disk = host.disk(of: device)
        let losses = disk.cacheLossCount
        let errno = disk.complete(ticket)
        if disk.cacheLossCount != losses {
            reach(.flushFailed)
            models[Int(device.volume.rawValue)].loseCache(host: index)
        }
        trace.note(
            .input, host: index, operation.rawValue, UInt64(errno),
            "disk operation \(operation.rawValue) done\(errno == 0 ? "" : ", errno \(errno)")")
        if errno != 0 {
            host.lastDiskError = now
            host.isDiskSuspect = true
        }
        host.ticksAtSameTime = 0
        feed(host: index, .diskCompleted(operation, errno: errno))
    }

    // MARK: Handlers

    private func runHandler(host: SimulatedHost, _ call: HandlerCall) {
        trace.note(.host, host: host.index, call.id.rawValue, "handler \(call.name)")
        if call.name == "initial-split-brain" || call.name == "split-brain" {
            splitBrainClaimed(host: host, volume: call.volume.map { Int($0.rawValue) } ?? 0)
        }
        let wait = UInt64(machineRandom.between(1_000_000, 200_000_000))
        queue.add(
            .handlerDone(host: host.index, incarnation: host.incarnation, call.id, status: 0), at: now + wait)
    }

    // MARK: Words

    static func describe(_ kind: DiskOperation.Kind) -> String {
        switch kind {
        case .read: "read"
        case .write(let flushBefore, let forceUnitAccess):
            "write\(flushBefore ? " flush-before" : "")\(forceUnitAccess ? " fua" : "")"
        case .flush: "flush"
        case .discard: "discard"
        case .writeZeroes: "zeroes"
        }
    }

    static func describe(_ kind: ApplicationRequest.Kind) -> String {
        switch kind {
        case .read: "read"
        case .write(let forceUnitAccess): forceUnitAccess ? "write fua" : "write"
        case .flush: "flush"
        case .discard: "discard"
        case .writeZeroes(let mayUnmap): mayUnmap ? "zeroes unmap" : "zeroes"
        }
    }

    static func describe(_ state: DeviceState) -> String {
        "\(state.conn) \(state.role)/\(state.peer) \(state.disk)/\(state.pdsk)"
            + "\(state.isSuspended ? " suspended" : "")\(state.userIsp || state.peerIsp ? " paused" : "")"
    }

    private func traceInput(host: Int, _ input: Input) {
        switch input {
        case .connected(let socket): trace.note(.input, host: host, "connected \(socket.rawValue)")
        case .connectFailed(let socket, let errno):
            trace.note(.input, host: host, "connect \(socket.rawValue) failed, errno \(errno)")
        case .accepted(let socket, _): trace.note(.input, host: host, "accepted \(socket.rawValue)")
        case .socketEnded(let socket, let errno):
            trace.note(.input, host: host, "end of \(socket.rawValue), errno \(errno)")
        default: break
        }
    }
}

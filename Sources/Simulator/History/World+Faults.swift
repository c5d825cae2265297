internal import DRBDLayout
internal import EngineKit
internal import Replication

// Faults, as planned. What each may do to whom, and the promise that covers it, stands where it is injected:
// ``SimulatedNetwork``, ``DiskFaults``, ``CrashDamage``, ``SimulatedClock``. For crashes of programs and machines:
// "kill -9 of the daemon and a cut of power at any instant: after restart the activity log covers exactly what may
// differ, and no acknowledged write is missing on a side that acknowledged it" (drbd-disk-and-state 5).
extension World {
    func beginFault(_ number: Int) {
        guard phase == .storm else { return }
        let fault = scenario.faults[number]
        if let host = host(ofDiskError: fault.kind), isSuspect(hosts[1 - host]) { return }
        trace.note(.fault, host: -1, UInt64(number), "\(fault.kind) for \(fault.length / 1_000_000) ms")
        queue.add(.faultEnds(number), at: now + fault.length)
        switch fault.kind {
        case .cut(let fromA, let fromB):
            if fromA { network.setLink(from: 0, isUp: false) }
            if fromB { network.setLink(from: 1, isUp: false) }
            if fromA != fromB { reach(.oneWayCut) }
        case .reset: network.resetConnections()
        case .forget:
            reach(.connectionForgotten)
            network.forgetConnections()
        case .kill(let host): kill(hosts[host], fault.damage)
        case .powerFailure(let host): cutPower(hosts[host], fault.damage)
        case .powerFailureOfAll:
            reach(.powerLostOnBoth)
            for host in hosts { cutPower(host, fault.damage) }
        case .slowDisk, .unreadable, .unwritable, .full: setDiskFault(fault.kind)
        }
        deliver(network.takeNotices())
    }

    private func host(ofDiskError kind: PlannedFault.Kind) -> Int? {
        switch kind {
        case .unreadable(let host), .unwritable(let host), .full(let host): host
        default: nil
        }
    }

    /// Whether the host's copy may lack what a disk error kept from it. Errors come to one disk at a time: the promise
    /// is that the other copy answers.
    private func isSuspect(_ host: SimulatedHost) -> Bool {
        host.isDiskSuspect
            || host.disks.contains { !$0.data.faults.isHealthy || !$0.metadata.faults.isHealthy }
    }

    func endFault(_ number: Int) {
        guard phase == .storm else { return }
        let fault = scenario.faults[number]
        switch fault.kind {
        case .cut(let fromA, let fromB):
            if fromA { network.setLink(from: 0, isUp: true) }
            if fromB { network.setLink(from: 1, isUp: true) }
            trace.note(.fault, host: -1, UInt64(number), "the link is mended")
            deliver(network.takeNotices())
        case .reset, .forget: break
        case .kill(let host), .powerFailure(let host): startAgain(host)
        case .powerFailureOfAll: for host in 0...1 { startAgain(host) }
        case .slowDisk(let host), .unreadable(let host), .unwritable(let host), .full(let host):
            trace.note(.fault, host: host, UInt64(number), "the disk is healthy")
            for pair in hosts[host].disks {
                pair.data.faults = DiskFaults()
                pair.metadata.faults = DiskFaults()
            }
        }
    }

    private func startAgain(_ host: Int) {
        guard !hosts[host].isRunning else { return }
        queue.add(.boot(host: host), at: now + scenario.habits.restartDelay)
    }

    private func kill(_ host: SimulatedHost, _ damage: CrashDamage) {
        guard host.isRunning else { return }
        reach(.programKilled)
        crash(host, losesCache: false)
        for pair in host.disks {
            pair.data.crashOfProgram(damage)
            if pair.metadata !== pair.data { pair.metadata.crashOfProgram(damage) }
        }
        network.crashOfProgram(host: host.index)
        checkCoverage(after: "the kill of \(host.name)")
    }

    private func cutPower(_ host: SimulatedHost, _ damage: CrashDamage) {
        guard host.isPowered else { return }
        reach(.powerLost)
        crash(host, losesCache: host.plan.disk.hasVolatileCache)
        for pair in host.disks {
            if !pair.data.cachedWrites.isEmpty { reach(.unflushedDataLost) }
            if case .someSectors = damage { reach(.tornWrite) }
            pair.data.powerFailure(damage)
            if pair.metadata !== pair.data { pair.metadata.powerFailure(damage) }
        }
        host.isPowered = false
        network.powerFailure(host: host.index)
        checkCoverage(after: "the power failure of \(host.name)")
    }

    private func crash(_ host: SimulatedHost, losesCache: Bool) {
        if host.isPrimaryOnAny { reach(.killedAsPrimary) }
        if host.states.contains(where: { $0.conn == .syncSource || $0.conn == .syncTarget }) {
            reach(.crashDuringSync)
        }
        stopProgram(host)
        for model in models { model.crash(host: host.index, losesCache: losesCache, now: now) }
        updateModels(changed: host.index)
    }

    private func setDiskFault(_ kind: PlannedFault.Kind) {
        switch kind {
        case .slowDisk(let host):
            let factor = machineRandom.skewed(5, 200)
            forEachDisk(host) { $0.slowness = factor }
        case .unreadable(let host): forEachDisk(host) { $0.unreadable = drawBadRange(host) }
        case .unwritable(let host): forEachDisk(host) { $0.unwritable = drawBadRange(host) }
        case .full(let host):
            reach(.fullDisk)
            forEachDisk(host) { $0.isFull = true }
        default: break
        }
    }

    private func forEachDisk(_ host: Int, _ change: (inout DiskFaults) -> Void) {
        for pair in hosts[host].disks {
            change(&pair.data.faults)
            // A metadata device of its own is spared half of the time.
            if pair.metadata !== pair.data, machineRandom.chance(1, in: 2) { change(&pair.metadata.faults) }
        }
    }

    /// The whole disk, or a part of what the application uses.
    private func drawBadRange(_ host: Int) -> Range<Int> {
        guard machineRandom.chance(2, in: 3) else { return 0..<Int.max }
        let areas = scenario.volumes[0].areas.areas
        let area = machineRandom.pick(areas)
        let start = machineRandom.below(area.count)
        let length = machineRandom.between(1, area.count - start)
        return (Int(area.sector) + start) * 512..<(Int(area.sector) + start + length) * 512
    }
}

internal import DRBDLayout
internal import EngineKit
internal import Replication

// What admins do when they look at the hosts: repair, keep the roles, and now and then something nobody asked for.
extension World {
    private static let second: UInt64 = 1_000_000_000
    private static let millisecond: UInt64 = 1_000_000

    /// A look at both hosts.
    func look() {
        queue.add(.look, at: now + UInt64(adminRandom.between(200, 900)) * Self.millisecond)
        compareIfQuiet()
        for host in hosts where host.isRunning && host.admin.script.isEmpty && host.admin.awaited == nil {
            repair(host)
        }
        if !hasBegun { begin(hosts) } else { keepRoles() }
        if phase == .storm, scenario.habits.whimOneIn > 0, adminRandom.below(scenario.habits.whimOneIn) == 0 {
            whim()
        }
        for host in hosts where !host.admin.script.isEmpty { runScript(host: host.index) }
        endIfSettled()
    }

    private func isIdle(_ host: SimulatedHost) -> Bool {
        host.isRunning && host.admin.script.isEmpty && host.admin.awaited == nil && host.admin.leavesAloneUntil <= now
    }

    // MARK: The first start

    /// Brings fresh volumes to life.
    private func begin(_ hosts: [SimulatedHost]) {
        switch scenario.beginning {
        case .inSync: hasBegun = true
        case .fresh, .freshWithoutSync:
            let first = hosts[preferredPrimary]
            guard hosts.allSatisfy({ $0.isRunning && isIdle($0) && $0.connection == .connected }) else {
                hasBegun = hosts.contains { $0.states.allSatisfy { $0.disk == .upToDate } }
                if phase == .healing, !hasBegun { forceGeneration(hosts) }
                return
            }
            if first.states.allSatisfy({ $0.disk == .upToDate }) {
                hasBegun = true
                return
            }
            for volume in first.states.indices
            where first.states[volume].disk == .inconsistent && first.states[volume].pdsk != .upToDate {
                let number = VolumeNumber(UInt16(volume))
                if case .fresh = scenario.beginning {
                    first.admin.script.append(
                        .command(
                            .primary(number, force: true), name: "primary --force \(volume)", isFailureTolerated: true))
                } else {
                    first.admin.script.append(
                        .command(
                            .newCurrentUUID(number, clearBitmap: true),
                            name: "new-current-uuid --clear-bitmap \(volume)",
                            isFailureTolerated: true))
                }
            }
        }
    }

    /// A crash left one side with a generation and no good data, so that they do not come together: that side is made
    /// Primary by force.
    private func forceGeneration(_ hosts: [SimulatedHost]) {
        guard now > healingSince + 10 * Self.second else { return }
        for host in hosts where isIdle(host) {
            for volume in host.states.indices where host.states[volume].disk == .inconsistent {
                guard let current = knowledge.uuids[host.index][volume]?[0], current & ~1 > 4 else { continue }
                host.admin.script = [
                    simple(.primary(VolumeNumber(UInt16(volume)), force: true), "primary --force \(volume)")
                ]
                return
            }
        }
    }

    // MARK: Repairs

    private func repair(_ host: SimulatedHost) {
        noteStandAlone(host)
        guard isIdle(host) else { return }
        if host.states.contains(where: { $0.disk == .diskless }) { repairDisks(host) }
        if host.states.contains(where: { $0.susp }) {
            for volume in host.states.indices {
                host.admin.script.append(simple(.resumeIO(VolumeNumber(UInt16(volume))), "resume-io \(volume)"))
            }
        }
        for volume in host.states.indices where host.states[volume].userIsp {
            host.admin.script.append(simple(.resumeSync(VolumeNumber(UInt16(volume))), "resume-sync \(volume)"))
        }
        repairConnection(host)
        repairFailedBlocks(host)
        if phase == .healing { repairLeftovers(host) }
    }

    /// Attaches what has no disk. A disk that a Primary may not take because it is not the data that it works on is
    /// attached when nobody is Primary; one that is found to be the other half of a split brain is attached without
    /// the connection, and loses.
    private func repairDisks(_ host: SimulatedHost) {
        let other = hosts[1 - host.index]
        // What is frozen until the data comes back that both the disk and the peer have left behind is lost.
        let isRefused = host.connection == .standAlone && host.states.contains { $0.isSuspended }
        let isIdleThere = !host.application.isOpen || host.application.outstanding == 0
        if host.admin.isDataNotCurrent, isIdleThere || isRefused {
            host.admin.isDataNotCurrent = false
            host.admin.script = demotion(host)
            if isIdle(other) { other.admin.script = demotion(other) }
        }
        let splits = host.admin.sawSplitBrain || other.admin.sawSplitBrain
        if splits, host.connection >= .connected {
            reach(.splitBrainSolvedByAdmin)
            host.admin.script = demotion(host) + [simple(.disconnect(force: true), "disconnect --force")]
        }
        for volume in host.states.indices where host.states[volume].disk == .diskless {
            host.admin.script.append(attachStep(host, volume))
        }
        if splits, host.connection >= .connected {
            host.admin.script.append(connectStep(host, discards: true))
            host.admin.sawSplitBrain = false
            other.admin.sawSplitBrain = false
        }
    }

    private func noteStandAlone(_ host: SimulatedHost) {
        if host.connection == .standAlone {
            host.admin.standAloneSince = host.admin.standAloneSince ?? now
        } else {
            host.admin.standAloneSince = nil
        }
    }

    /// A connection that gave up is made again; a split brain is ended as the manual says: the victim is demoted and
    /// connects with discard-my-data, the survivor just connects.
    private func repairConnection(_ host: SimulatedHost) {
        guard let since = host.admin.standAloneSince, now >= since + Self.second else { return }
        let other = hosts[1 - host.index]
        guard host.admin.sawSplitBrain || other.admin.sawSplitBrain else {
            // Refused because it would be overwritten as Primary: the peer's data is newer.
            if host.admin.sawRoleConflict { host.admin.script = demotion(host) }
            host.admin.sawRoleConflict = false
            host.admin.script.append(connectStep(host, discards: false))
            return
        }
        guard isIdle(other) || !other.isRunning, other.isRunning else {
            if !other.isRunning { host.admin.script.append(connectStep(host, discards: false)) }
            return
        }
        let victim = chooseVictim()
        let survivor = 1 - victim
        reach(.splitBrainSolvedByAdmin)
        hosts[victim].admin.script = demotion(hosts[victim])
        if hosts[victim].connection != .standAlone {
            hosts[victim].admin.script.append(simple(.disconnect(force: true), "disconnect --force"))
        }
        hosts[victim].admin.script.append(connectStep(hosts[victim], discards: true))
        splitBrainAttempts += 1
        // A policy may want the survivor's data to go and refuse because it is Primary: then nobody is.
        if splitBrainAttempts > 1 { hosts[survivor].admin.script = demotion(hosts[survivor]) }
        if hosts[survivor].connection == .standAlone {
            hosts[survivor].admin.script.append(connectStep(hosts[survivor], discards: false))
        }
        for host in hosts {
            host.admin.sawSplitBrain = false
            host.admin.standAloneSince = nil
        }
    }

    private func chooseVictim() -> Int {
        let isBroken = hosts.map { host in host.states.contains { $0.disk == .inconsistent } }
        if isBroken[0] != isBroken[1] { return isBroken[0] ? 0 : 1 }
        if hosts[0].isPrimaryOnAny != hosts[1].isPrimaryOnAny { return hosts[0].isPrimaryOnAny ? 1 : 0 }
        return adminRandom.below(2)
    }

    /// A disk that stayed Inconsistent because of errors gets another resync by a new connection.
    private func repairFailedBlocks(_ host: SimulatedHost) {
        let isStuck = host.states.contains { $0.conn == .connected && $0.disk == .inconsistent && $0.pdsk == .upToDate }
        guard hasBegun, isStuck else {
            host.admin.inconsistentSince = nil
            return
        }
        let since = host.admin.inconsistentSince ?? now
        host.admin.inconsistentSince = since
        guard now >= since + 3 * Self.second, host.admin.script.isEmpty else { return }
        host.admin.inconsistentSince = nil
        host.admin.script =
            demotion(host) + [
                simple(.disconnect(force: false), "disconnect"), .sleep(Self.second / 2),
                connectStep(host, discards: false),
            ]
    }

    /// Blocks that are marked though nothing is being synced: a Primary that loses and finds its peer again syncs
    /// them (drbd-disk-and-state 14.6).
    private func repairLeftovers(_ host: SimulatedHost) {
        guard let engine = host.engine, host.isSettled, hosts[1 - host.index].isSettled,
            isIdle(hosts[1 - host.index])
        else { return }
        let snapshot = engine.snapshot(now: host.clock.reading(at: now))
        guard snapshot.volumes.contains(where: { $0.outOfSyncBits > 0 }), host.admin.script.isEmpty else { return }
        let other = hosts[1 - host.index]
        if !host.isPrimaryOnAll, scenario.isDual || !other.isPrimaryOnAny {
            host.admin.script = promotion(host)
            return
        }
        let primary = host.isPrimaryOnAll ? host : other
        guard primary.admin.script.isEmpty else { return }
        primary.admin.script = [
            simple(.disconnect(force: false), "disconnect"), .sleep(Self.second), connectStep(primary, discards: false),
        ]
    }

    // MARK: Roles

    private func keepRoles() {
        if scenario.isDual {
            for host in hosts where isIdle(host) && !host.isPrimaryOnAll && mayPromote(host) {
                host.admin.script = promotion(host)
            }
        } else {
            keepOnePrimary()
        }
        for host in hosts where isIdle(host) && host.isPrimaryOnAll {
            if !host.application.isOpen { host.admin.script.append(.openVolumes) } else { startLoad(host: host) }
        }
    }

    private func keepOnePrimary() {
        if phase == .healing, hosts[1 - preferredPrimary].isPrimaryOnAny, !hosts[preferredPrimary].isPrimaryOnAny {
            preferredPrimary = 1 - preferredPrimary
        }
        let wanted = hosts[preferredPrimary]
        if wanted.isRunning, wanted.isPrimaryOnAll {
            primaryMissedSince = nil
            return
        }
        if isIdle(wanted), mayPromote(wanted) { wanted.admin.script = promotion(wanted) }
        let since = primaryMissedSince ?? now
        primaryMissedSince = since
        let other = hosts[1 - preferredPrimary]
        guard phase == .storm, scenario.habits.failsOver, now >= since + scenario.habits.failoverDelay, isIdle(other),
            other.states.allSatisfy({ $0.disk == .upToDate }), !wanted.isPrimaryOnAny || !wanted.isRunning
        else { return }
        reach(.failover)
        trace.note(.host, host: other.index, "fail over to \(other.name)")
        preferredPrimary = other.index
        primaryMissedSince = nil
        other.admin.script = promotion(other)
    }

    /// `become-primary-on` after the wait for the peer.
    private func mayPromote(_ host: SimulatedHost) -> Bool {
        // Not while failed blocks keep it Inconsistent: then it waits for a change that does not come.
        let isReady = host.states.allSatisfy {
            $0.disk == .upToDate || ($0.pdsk == .upToDate && ($0.disk == .diskless || $0.conn == .syncTarget))
        }
        guard isReady else { return false }
        if host.states.allSatisfy({ $0.conn >= .connected }) { return true }
        guard phase == .storm, scenario.habits.startsAlone else { return false }
        reach(.promotedAlone)
        return true
    }

    func promotion(_ host: SimulatedHost) -> [AdminStep] {
        var script: [AdminStep] = []
        for volume in host.states.indices where host.states[volume].role != .primary {
            let number = VolumeNumber(UInt16(volume))
            script.append(
                .command(.primary(number, force: false), name: "primary \(volume)", isFailureTolerated: false))
        }
        return script + [.openVolumes]
    }

    func demotion(_ host: SimulatedHost) -> [AdminStep] {
        guard host.isPrimaryOnAny else { return [] }
        var script: [AdminStep] = []
        // What is frozen never ends by itself: let it fail.
        for volume in host.states.indices where host.states[volume].isSuspended {
            script.append(simple(.resumeIO(VolumeNumber(UInt16(volume))), "resume-io \(volume)"))
        }
        script += [.stopLoad, .closeVolumes]
        for volume in host.states.indices where host.states[volume].role == .primary {
            let number = VolumeNumber(UInt16(volume))
            script.append(.command(.secondary(number), name: "secondary \(volume)", isFailureTolerated: false))
        }
        return script
    }

    func simple(_ command: Command, _ name: String) -> AdminStep {
        .command(command, name: name, isFailureTolerated: true)
    }
}

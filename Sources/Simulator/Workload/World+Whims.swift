internal import DRBDLayout
internal import Replication

// Commands that nobody asked for, as admins and test suites give them. Each is one that the manual calls safe in the
// state in which it is given here.
extension World {
    func whim() {
        guard hosts.allSatisfy({ $0.isRunning && $0.admin.script.isEmpty && $0.admin.awaited == nil }) else { return }
        let host = hosts[adminRandom.below(2)]
        let volume = VolumeNumber(UInt16(adminRandom.below(host.states.count)))
        let pause = UInt64(adminRandom.between(100, 5_000)) * 1_000_000
        switch adminRandom.below(13) {
        case 0, 1: moveRole(host, pause)
        case 2: leave(host, pause)
        case 3: detach(host, volume, pause)
        case 4: verify(host, volume)
        case 5, 6: pauseSync(host, volume, pause)
        case 7: invalidate(host, volume)
        case 8: suspend(host, volume, pause)
        case 9: restart(host)
        case 10: demoteForAWhile(host, pause)
        case 11: loseDisk(host, volume, pause)
        default: leave(host, pause)
        }
    }

    private func moveRole(_ host: SimulatedHost, _ pause: UInt64) {
        guard !scenario.isDual else { return demoteForAWhile(host, pause) }
        let old = hosts[preferredPrimary]
        guard old.isPrimaryOnAll, hosts.allSatisfy({ $0.isSettled }) else { return }
        preferredPrimary = 1 - preferredPrimary
        old.admin.script = demotion(old)
    }

    private func demoteForAWhile(_ host: SimulatedHost, _ pause: UInt64) {
        guard host.isPrimaryOnAll else { return }
        host.admin.script = demotion(host)
        host.admin.leavesAloneUntil = now + pause
    }

    /// `disconnect`, later `connect`.
    private func leave(_ host: SimulatedHost, _ pause: UInt64) {
        guard host.connection >= .connected else { return }
        reach(.disconnectedByAdmin)
        host.admin.script = [
            simple(.disconnect(force: adminRandom.chance(1, in: 5)), "disconnect"), .sleep(pause),
            connectStep(host, discards: false),
        ]
        host.admin.leavesAloneUntil = now + pause
    }

    private func detach(_ host: SimulatedHost, _ volume: VolumeNumber, _ pause: UInt64) {
        guard host.isSettled else { return }
        let isForced = adminRandom.chance(1, in: 4)
        reach(.detached)
        host.admin.script = [
            simple(.detach(volume, force: isForced), isForced ? "detach --force \(volume)" : "detach \(volume)"),
            .sleep(pause), attachStep(host, Int(volume.rawValue)),
        ]
        host.admin.leavesAloneUntil = now + pause
    }

    /// `detach --force` whatever is going on: with writes that wait for the activity log, epochs that are open, requests of
    /// a resync or verify in queues. Only where the other host has a good copy, or both would be without one.
    private func loseDisk(_ host: SimulatedHost, _ volume: VolumeNumber, _ pause: UInt64) {
        let number = Int(volume.rawValue)
        guard host.states[number].disk >= .inconsistent, hosts[1 - host.index].states[number].disk == .upToDate else {
            return
        }
        reach(.disklessByForce)
        host.admin.script = [
            simple(.detach(volume, force: true), "detach --force \(volume)"), .sleep(pause), attachStep(host, number),
        ]
        host.admin.leavesAloneUntil = now + pause
    }

    private func verify(_ host: SimulatedHost, _ volume: VolumeNumber) {
        guard host.isSettled, host.plan.network.verifyAlgorithm != nil,
            scenario.volumes[Int(volume.rawValue)].sectors < 20 * 2048
        else { return }
        host.admin.script = [simple(.verify(volume, start: nil, stop: nil), "verify \(volume)")]
    }

    private func pauseSync(_ host: SimulatedHost, _ volume: VolumeNumber, _ pause: UInt64) {
        host.admin.script = [
            simple(.pauseSync(volume), "pause-sync \(volume)"), .sleep(pause),
            simple(.resumeSync(volume), "resume-sync \(volume)"),
        ]
        host.admin.leavesAloneUntil = now + pause
    }

    /// A full sync between two good copies, in either direction; only where it is small.
    private func invalidate(_ host: SimulatedHost, _ volume: VolumeNumber) {
        guard hosts.allSatisfy({ $0.isSettled }), scenario.volumes[Int(volume.rawValue)].sectors < 6 * 2048 else {
            return
        }
        reach(.invalidated)
        host.admin.script =
            adminRandom.chance(1, in: 2)
            ? [simple(.invalidate(volume), "invalidate \(volume)")]
            : [simple(.invalidateRemote(volume), "invalidate-remote \(volume)")]
    }

    private func suspend(_ host: SimulatedHost, _ volume: VolumeNumber, _ pause: UInt64) {
        reach(.suspendedIO)
        host.admin.script = [
            simple(.suspendIO(volume), "suspend-io \(volume)"), .sleep(min(pause, 2_000_000_000)),
            simple(.resumeIO(volume), "resume-io \(volume)"),
        ]
    }

    /// `down`, the end of the program, and a start.
    private func restart(_ host: SimulatedHost) {
        host.admin.script = demotion(host) + [simple(.down, "down"), .exit]
    }
}

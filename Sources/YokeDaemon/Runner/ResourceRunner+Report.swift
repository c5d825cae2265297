internal import Configuration
internal import EngineKit
internal import LinuxReactor
internal import Replication

/// Somebody who waits for a state of one volume.
struct StateWaiter {
    enum Answer: Sendable { case reached, gaveUp, gone }

    var volume: VolumeNumber
    /// Nil: go on waiting.
    var predicate: (VolumeReport) -> Answer?
    var answer: (Answer) -> Void
}

extension ResourceRunner {
    /// The resource as the texts show it. On the reactor's thread.
    package func report() -> ResourceReport {
        let snapshot = engine.snapshot(now: reactor.now)
        let reports = snapshot.volumes.compactMap { volume -> VolumeReport? in
            guard let record = record(of: volume.volume) else { return nil }
            return VolumeReport(
                minor: record.minor, snapshot: volume, backing: record.paths,
                diskOptions: ShownOption.list(.disk, record.diskEntries), deviceNode: record.deviceNode)
        }
        return ResourceReport(
            snapshot: snapshot, volumes: reports,
            localAddress: snapshot.network == nil ? nil : settings.localText,
            remoteAddress: snapshot.network == nil ? nil : settings.remoteText,
            resourceOptions: ShownOption.list(.options, settings.resource),
            netOptions: ShownOption.list(.net, settings.net), trouble: trouble)
    }

    func evaluateWaiters(_ report: ResourceReport) {
        guard !waiters.isEmpty else { return }
        waiters.removeAll { waiter in
            let volume = report.volumes.first { $0.snapshot.volume == waiter.volume }
            guard let answer = volume.map(waiter.predicate) ?? .gone else { return false }
            waiter.answer(answer)
            return true
        }
    }

    /// Waits until `predicate` answers, at most `seconds` (0: for ever); nil when the time is over.
    func wait(
        for volume: VolumeNumber, seconds: Int, _ predicate: @escaping @Sendable (VolumeReport) -> StateWaiter.Answer?
    ) async -> StateWaiter.Answer? {
        let outcome = await Promise<StateWaiter.Answer?>.wait { promise in
            reactor.post { [self] in
                guard !isEnding else { return }
                waiters.append(StateWaiter(volume: volume, predicate: predicate) { promise.fulfil($0) })
                if seconds > 0 {
                    reactor.addTimer(at: reactor.now + .seconds(seconds)) { promise.fulfil(nil) }
                }
                evaluateWaiters(report())
            }
        }
        return outcome ?? .gone
    }
}

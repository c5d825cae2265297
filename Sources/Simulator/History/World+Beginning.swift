internal import EngineKit
internal import Replication

// How a world is put together, and its end.
extension World {
    private static let second: UInt64 = 1_000_000_000

    func makeMachines() {
        for volume in scenario.volumes {
            models.append(
                RegisterModel(
                    areas: volume.areas, usesProtocolC: scenario.hosts[0].network.wireProtocol == .c))
        }
        for index in 0...1 {
            let plan = scenario.hosts[index]
            var disks: [SimulatedHost.Disks] = []
            for volume in scenario.volumes.indices {
                let stream = UInt64(100 + 10 * volume + 2 * index)
                let data = SimulatedDisk(
                    byteCount: Int(plan.dataSectors[volume]) * 512, character: plan.disk,
                    random: SimulationRandom(seed: scenario.seed, stream: stream))
                let metadata =
                    plan.hasInternalMetadata
                    ? data
                    : SimulatedDisk(
                        byteCount: Int(MetadataForge.externalSectors) * 512, character: plan.disk,
                        random: SimulationRandom(seed: scenario.seed, stream: stream + 1))
                disks.append(SimulatedHost.Disks(data: data, metadata: metadata))
                MetadataForge.write(
                    freshContents(host: index, volume: volume), isInternal: plan.hasInternalMetadata, to: metadata)
            }
            hosts.append(SimulatedHost(index: index, plan: plan, disks: disks))
            knowledge.lastWithoutData[index] = Array(repeating: 0, count: disks.count)
            knowledge.lastWithoutLocal[index] = knowledge.lastWithoutData[index]
            knowledge.lastApart[index] = knowledge.lastWithoutData[index]
            knowledge.lastWithCopy[index] = knowledge.lastWithoutData[index]
            knowledge.knowsCopy[index] = Array(repeating: false, count: disks.count)
            knowledge.lastFlush[index] = knowledge.lastWithoutData[index]
            knowledge.isWithoutData[index] = Array(repeating: true, count: disks.count)
            knowledge.uuids[index] = Array(repeating: nil, count: disks.count)
            hosts[index].application.workers = Array(
                repeating: ApplicationState.Worker(), count: scenario.load.workersPerHost)
        }
    }

    private func freshContents(host: Int, volume: Int) -> MetadataForge.Contents {
        var random = SimulationRandom(seed: scenario.seed, stream: UInt64(50 + volume))
        let common = [random.next() & ~1 | 0x100, 0, random.next() & ~1, random.next() & ~1]
        let own = SimulationRandom(seed: scenario.seed, stream: UInt64(60 + host))
        var device = own
        switch scenario.beginning {
        case .fresh, .freshWithoutSync:
            return MetadataForge.Contents(
                uuids: [4, 0, 0, 0], flags: MetadataForge.Flag.activityLogClean, agreedSectors: 0,
                deviceUUID: device.next())
        case .inSync:
            return MetadataForge.Contents(
                uuids: common,
                flags: MetadataForge.Flag.consistent | MetadataForge.Flag.wasUpToDate
                    | MetadataForge.Flag.activityLogClean,
                agreedSectors: scenario.volumes[volume].sectors, deviceUUID: device.next())
        }
    }

    func begin() {
        trace.note(.host, host: -1, scenario.summary)
        preferredPrimary = Int(scenario.seed & 1)
        for host in 0...1 { queue.add(.boot(host: host), at: UInt64(machineRandom.below(1_500_000_000))) }
        queue.add(.look, at: Self.second)
        for (number, fault) in scenario.faults.enumerated() { queue.add(.faultBegins(number), at: fault.time) }
        queue.add(.stormEnds, at: scenario.stormLength)
    }

    /// All faults end; from here on the pair must find together.
    func beginHealing() {
        trace.note(.host, host: -1, "the storm is over; healing")
        phase = .healing
        healingSince = now
        for host in 0...1 { network.setLink(from: host, isUp: true) }
        deliver(network.takeNotices())
        for host in hosts {
            host.admin.leavesAloneUntil = 0
            for pair in host.disks {
                pair.data.faults = DiskFaults()
                pair.metadata.faults = DiskFaults()
            }
            host.application.isLoading = false
            if !host.isRunning { queue.add(.boot(host: host.index), at: now + Self.second / 10) }
        }
    }

    /// In the healing phase: whether nothing is left to do; then the last checks.
    func endIfSettled() {
        guard phase == .healing else { return }
        if now > healingSince + Self.healingTimeMax {
            return fail("not settled \(Self.healingTimeMax / Self.second) s after all faults ended: \(describeHosts())")
        }
        let isQuiet = hosts.allSatisfy {
            $0.isRunning && $0.isSettled && $0.application.outstanding == 0 && $0.admin.awaited == nil
                && $0.admin.script.isEmpty
        }
        guard isQuiet, isNothingUnderWay, hosts.allSatisfy({ hasNoBitsSet(host: $0) }) else { return }
        checkAtRest()
        trace.note(.check, host: -1, "settled, both copies compared")
        phase = .over
    }

    /// Now and then in the middle of the storm, at a moment when nothing is under way anywhere: both copies must be
    /// equal then too.
    func compareIfQuiet() {
        guard phase == .storm, knowledge.comparisons < 3, models.allSatisfy({ $0.isInSync && $0.orphans.isEmpty }),
            hosts.allSatisfy({ $0.isRunning && $0.isSettled && $0.application.outstanding == 0 }),
            isNothingUnderWay, adminRandom.chance(1, in: 3), hosts.allSatisfy({ hasNoBitsSet(host: $0) })
        else { return }
        knowledge.comparisons += 1
        trace.note(.check, host: -1, "quiet, both copies compared")
        checkAtRest()
    }

    /// No operation on a disk and no byte in the network.
    private var isNothingUnderWay: Bool {
        network.isIdle && hosts.allSatisfy { host in host.disks.allSatisfy { $0.data.isIdle && $0.metadata.isIdle } }
    }

    private func hasNoBitsSet(host: SimulatedHost) -> Bool {
        guard let engine = host.engine else { return false }
        let snapshot = engine.snapshot(now: host.clock.reading(at: now))
        return snapshot.volumes.allSatisfy { $0.outOfSyncBits == 0 && $0.progress == nil && $0.localPending == 0 }
    }
}

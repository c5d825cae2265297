internal import Replication

extension Scenario {
    /// A kind of history in which certain rules matter often. Without an emphasis a seed draws from all kinds, and what
    /// takes two rare things at once comes once in thousands of histories.
    package enum Emphasis: String, CaseIterable, Sendable {
        /// Both hosts write to the same few blocks, and the two streams of a connection overtake each other.
        case meetingWrites = "meeting-writes"
        /// The power goes again and again under a disk that is busy with flushes.
        case powerDuringFlush = "power-during-flush"
    }

    /// The history that a seed stands for under an emphasis.
    package init(seed: UInt64, emphasis: Emphasis?) {
        self.init(seed: seed, isAlwaysDual: emphasis == .meetingWrites)
        var random = SimulationRandom(seed: seed, stream: 7)
        switch emphasis {
        case nil: break
        case .meetingWrites: makeWritesMeet(&random)
        case .powerDuringFlush: cutPowerDuringFlushes(&random)
        }
    }

    private mutating func makeWritesMeet(_ random: inout SimulationRandom) {
        beginning = .inSync
        faults = []
        habits.whimOneIn = 0
        stormLength = 15_000_000_000
        for number in volumes.indices {
            var areas = TrackedAreas()
            areas.append(sector: UInt64(random.below(64) * 8), count: random.between(2, 6) * 8)
            volumes[number].areas = areas
        }
        load.isDisjoint = false
        load.sectorsMax = random.between(8, 24)
        load.readsPercent = 10
        load.workersPerHost = random.between(2, 6)
        load.burst = 8
        load.rest = 500_000_000
        network.latency = random.between(100_000, 1_000_000)
        network.jitter = network.latency * 4
        network.nanosecondsPerKiB = 500
        network.bufferSize = 1 << 20
        for host in hosts.indices { hosts[host].disk.latency = random.between(20_000, 200_000) }
    }

    private mutating func cutPowerDuringFlushes(_ random: inout SimulationRandom) {
        beginning = .inSync
        faults = []
        load.readsPercent = 10
        load.flushesPercent = 1
        let second = 1_000_000_000
        for host in hosts.indices {
            hosts[host].disk.hasVolatileCache = true
            hosts[host].disk.latency = random.between(1, 6) * 1_000_000
        }
        // The Secondary more often: what a Primary loses its activity log tells.
        var time = 3 * second
        while time < Int(stormLength) {
            faults.append(
                PlannedFault(
                    time: UInt64(time), kind: .powerFailure(host: random.chance(1, in: 4) ? 0 : 1),
                    length: UInt64(random.between(100, 1_000) * 1_000_000), damage: .nothingReached))
            time += random.between(3 * second, 9 * second)
        }
    }
}

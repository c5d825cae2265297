internal import EngineKit
internal import Replication

extension Scenario {
    private static let second = 1_000_000_000
    private static let millisecond = 1_000_000

    /// The history that a seed stands for.
    package init(seed: UInt64) {
        self.init(seed: seed, isAlwaysDual: false)
    }

    init(seed: UInt64, isAlwaysDual: Bool) {
        self.seed = seed
        var random = SimulationRandom(seed: seed, stream: 1)
        isDual = random.chance(2, in: 5) || isAlwaysDual
        hosts = [Host(), Host()]
        drawVolumes(&random)
        drawNetworkOptions(&random)
        drawDiskOptions(&random)
        drawMachines(&random)
        drawLoad(&random)
        drawHabits(&random)
        drawFaults(&random)
    }

    // MARK: Volumes

    private mutating func drawVolumes(_ random: inout SimulationRandom) {
        let count = random.chance(1, in: 6) ? 2 : 1
        // Many activity-log extents, so that the smallest log (67) must evict.
        let isWide = count == 1 && random.chance(1, in: 7)
        for host in 0...1 { hosts[host].hasInternalMetadata = random.chance(1, in: 2) }
        switch random.below(20) {
        case 0 where !isWide: beginning = .fresh
        case 1, 2: beginning = .freshWithoutSync
        default: beginning = .inSync
        }
        for _ in 0..<count {
            let mebibytes =
                isWide
                ? random.between(500, 700) : random.chance(1, in: 6) ? random.between(17, 40) : random.between(2, 16)
            // Sometimes the device ends in the middle of a 4 KiB block.
            let sectors = UInt64(mebibytes * 2048 + (random.chance(1, in: 3) ? random.between(1, 15) : 0))
            volumes.append(Volume(sectors: sectors, areas: Self.drawAreas(sectors, isWide: isWide, &random)))
            for host in 0...1 {
                let spare = random.chance(1, in: 4) ? random.between(1, 100) * 8 : 0
                let usable = sectors + UInt64(spare)
                let size = hosts[host].hasInternalMetadata ? MetadataForge.internalCapacity(usable: usable) : usable
                hosts[host].dataSectors.append(size)
            }
        }
        trimToSmallest()
    }

    /// The replicated device is as large as the smaller side's usable space.
    private mutating func trimToSmallest() {
        for volume in volumes.indices {
            let usable = hosts.map { host in
                host.hasInternalMetadata
                    ? MetadataForge.internalUsable(capacity: host.dataSectors[volume]) : host.dataSectors[volume]
            }
            volumes[volume].sectors = min(usable[0], usable[1])
        }
    }

    private static func drawAreas(
        _ sectors: UInt64, isWide: Bool, _ random: inout SimulationRandom
    ) -> TrackedAreas {
        var areas = TrackedAreas()
        let count = isWide ? random.between(110, 160) : random.between(2, 6)
        let stride = Int(sectors) / count
        for number in 0..<count {
            let length = min(stride, isWide ? random.between(1, 2) * 8 : random.skewed(16, 700))
            var start = number * stride
            if number == count - 1 {
                // The end of the device is a place of its own.
                start = Int(sectors) - length
            } else if number > 0 {
                start += random.below(stride - length + 1)
                if random.chance(2, in: 3), start - start % 8 >= number * stride { start -= start % 8 }
            }
            areas.append(sector: UInt64(start), count: length)
        }
        return areas
    }

    // MARK: Options

    private mutating func drawNetworkOptions(_ random: inout SimulationRandom) {
        var options = NetworkOptions()
        options.wireProtocol = isDual ? .c : random.pick([.c, .c, .c, .c, .b, .a])
        options.allowTwoPrimaries = isDual
        options.pingInterval = random.between(1, 4)
        options.pingTimeout = random.between(3, 8)
        options.timeout = random.between(10, 30)
        options.koCount = random.between(2, 5)
        options.connectInterval = random.between(1, 4)
        options.socketCheckTimeout = random.chance(1, in: 2) ? 0 : random.between(1, 5)
        options.epochSizeMax = random.chance(1, in: 3) ? random.between(1, 20) : 2048
        options.buffersMax = random.pick([128, 512, 2048, 2048])
        options.useRunLengthEncoding = random.chance(3, in: 4)
        options.alwaysAfterSplitBrainPolicies = random.chance(1, in: 6)
        if random.chance(1, in: 4) {
            options.authenticationAlgorithm = random.pick([.sha1, .sha256, .md5])
            options.sharedSecret = Array("secret \(seed)".utf8)
        }
        options.verifyAlgorithm = random.chance(1, in: 2) ? .crc32c : nil
        drawPolicies(&options, &random)
        if options.wireProtocol == .a, random.chance(1, in: 2) {
            options.onCongestion = random.pick([.pullAhead, .pullAhead, .disconnect])
            options.congestionFill = random.skewed(32, 4096)
        }
        hosts[0].network = options
        hosts[1].network = options
        // discard-local here is discard-remote there.
        let mirrored = options.afterSplitBrain0Primaries
        if mirrored == .discardLocal { hosts[1].network.afterSplitBrain0Primaries = .discardRemote }
        if mirrored == .discardRemote { hosts[1].network.afterSplitBrain0Primaries = .discardLocal }
        resource.onNoDataAccessible = random.chance(1, in: 3) ? .suspendIO : .ioError
    }

    private func drawPolicies(_ options: inout NetworkOptions, _ random: inout SimulationRandom) {
        guard random.chance(1, in: 2) else { return }
        options.afterSplitBrain0Primaries = random.pick([
            .disconnect, .discardYoungerPrimary, .discardOlderPrimary, .discardZeroChanges, .discardLeastChanges,
            .discardLocal, .discardRemote,
        ])
        options.afterSplitBrain1Primary = random.pick([
            .disconnect, .consensus, .discardSecondary, .callPriLost, .violently,
        ])
        options.afterSplitBrain2Primaries = random.pick([.disconnect, .callPriLost, .violently])
    }

    private mutating func drawDiskOptions(_ random: inout SimulationRandom) {
        for host in 0...1 {
            var options = DiskOptions()
            options.onIOError = random.pick([.detach, .detach, .passOn, .callLocalIOError])
            options.activityLogExtents = random.chance(1, in: 2) ? 67 : random.between(67, 1237)
            options.planAhead = random.chance(1, in: 2) ? 20 : random.between(0, 10)
            options.resyncRate = random.skewed(1_000, 100_000)
            // A full sync of a wide device must end in time.
            if volumes[0].sectors > 200_000 { options.resyncRate = random.between(20_000, 100_000) }
            options.rateMin = random.pick([0, 250, 4_000])
            options.fillTarget = random.chance(1, in: 3) ? 0 : random.between(8, 2_000)
            options.discardZeroesIfAligned = random.chance(3, in: 4)
            hosts[host].options = options
        }
        // The last sender's values are taken over by both: begin alike half of the time.
        if random.chance(1, in: 2) { hosts[1].options = hosts[0].options }
    }

    private mutating func drawMachines(_ random: inout SimulationRandom) {
        let haveVolatileCaches = random.chance(1, in: 2)
        for host in 0...1 {
            hosts[host].disk.hasVolatileCache = haveVolatileCaches
            hosts[host].disk.latency = random.skewed(20_000, 2_000_000)
            hosts[host].disk.slowOneIn = random.pick([10, 50, 1_000])
            hosts[host].clockStart = UInt64(random.between(1, 1_000_000)) * UInt64(Self.second)
            hosts[host].clockError = random.chance(1, in: 3) ? random.between(-20_000, 20_000) : random.between(-50, 50)
        }
        network.latency = random.skewed(20_000, 20_000_000)
        network.jitter = random.chance(1, in: 4) ? network.latency * 4 : network.latency / 4
        network.nanosecondsPerKiB = random.skewed(500, 200_000)
        network.bufferSize = random.skewed(1 << 13, 1 << 20)
        // As above: a full sync must end in time.
        if volumes[0].sectors > 200_000 { network.bufferSize = max(network.bufferSize, 1 << 18) }
        fragmentOneIn = random.pick([0, 2, 10])
    }

    private mutating func drawLoad(_ random: inout SimulationRandom) {
        stormLength = UInt64(random.between(15, 50) * Self.second)
        let isWide = volumes[0].areas.areas.count > 60
        let requests = isWide ? random.between(250, 400) : random.between(80, 300)
        load.workersPerHost = random.between(1, 8)
        load.burst = random.skewed(1, 12)
        let writers = load.workersPerHost * (isDual ? 2 : 1)
        load.rest = Int(stormLength) / max(1, requests / (load.burst * writers))
        load.readsPercent = random.between(10, 50)
        load.flushesPercent = random.between(1, 12)
        load.zeroesPercent = random.chance(1, in: 2) ? 0 : random.between(1, 12)
        load.forceUnitAccessPercent = random.chance(1, in: 2) ? 0 : random.between(1, 30)
        load.sectorsMax = random.skewed(8, 512)
        load.isDisjoint = isDual && random.chance(2, in: 5)
    }

    private mutating func drawHabits(_ random: inout SimulationRandom) {
        habits.whimOneIn = random.pick([0, 40, 20, 8])
        habits.failsOver = random.chance(1, in: 2)
        habits.failoverDelay = UInt64(random.between(500, 8_000) * Self.millisecond)
        habits.startsAlone = random.chance(1, in: 3)
        habits.restartDelay = UInt64(random.between(100, 5_000) * Self.millisecond)
    }

    // MARK: Faults

    private mutating func drawFaults(_ random: inout SimulationRandom) {
        let count = random.skewed(1, 10)
        // Some histories see only one family of faults.
        let family = random.below(5)
        for _ in 0..<count {
            let time = random.between(2 * Self.second, Int(stormLength))
            let kind = Self.drawFault(family: family, &random)
            let length = random.skewed(50 * Self.millisecond, 12 * Self.second)
            faults.append(
                PlannedFault(time: UInt64(time), kind: kind, length: UInt64(length), damage: Self.drawDamage(&random)))
        }
        if volumes[0].areas.areas.count > 60, random.chance(2, in: 3) { addLonelyPrimary(&random) }
        if random.chance(1, in: 4) { addSlowPowerFailure(&random) }
        faults.sort { $0.time < $1.time }
    }

    /// One host writes alone for long and then crashes: what the other lacks must be in its bitmap or its log, also
    /// where the log was full many times over.
    private mutating func addLonelyPrimary(_ random: inout SimulationRandom) {
        let begin = random.between(2 * Self.second, Int(stormLength) / 4)
        let length = Int(stormLength) - begin
        let crash = begin + length / 2 + random.below(length / 2)
        let damage = Self.drawDamage(&random)
        faults = [
            PlannedFault(
                time: UInt64(begin), kind: .cut(fromA: true, fromB: true), length: UInt64(length), damage: damage),
            PlannedFault(
                time: UInt64(crash), kind: random.chance(1, in: 2) ? .kill(host: 0) : .powerFailure(host: 0),
                length: UInt64(Self.second), damage: damage),
            PlannedFault(
                time: UInt64(crash + Self.millisecond),
                kind: random.chance(1, in: 2) ? .kill(host: 1) : .powerFailure(host: 1), length: UInt64(Self.second),
                damage: damage),
        ]
    }

    /// The power goes while a slow disk works on flushes.
    private mutating func addSlowPowerFailure(_ random: inout SimulationRandom) {
        let host = random.below(2)
        let time = random.between(3 * Self.second, Int(stormLength))
        let before = random.between(100, 1_500) * Self.millisecond
        faults.append(
            PlannedFault(
                time: UInt64(time - before), kind: .slowDisk(host: host), length: UInt64(before + Self.second),
                damage: .everythingReached))
        faults.append(
            PlannedFault(
                time: UInt64(time), kind: .powerFailure(host: host),
                length: UInt64(random.between(100, 4_000) * Self.millisecond), damage: Self.drawDamage(&random)))
    }

    private static func drawFault(family: Int, _ random: inout SimulationRandom) -> PlannedFault.Kind {
        let host = random.below(2)
        switch family == 0 ? random.below(4) : family == 1 ? random.between(4, 7) : random.below(12) {
        case 0: return .reset
        case 1: return .forget
        case 2: return .cut(fromA: true, fromB: true)
        case 3: return .cut(fromA: host == 0, fromB: host == 1)
        case 4, 5: return .kill(host: host)
        case 6: return .powerFailure(host: host)
        case 7: return .powerFailureOfAll
        case 8: return .slowDisk(host: host)
        case 9: return .unreadable(host: host)
        case 10: return .unwritable(host: host)
        default: return .full(host: host)
        }
    }

    private static func drawDamage(_ random: inout SimulationRandom) -> CrashDamage {
        switch random.below(6) {
        case 0: .everythingReached
        case 1, 2: .nothingReached
        case 3: .someWrites(percent: random.between(10, 90))
        default: .someSectors(percent: random.between(10, 90))
        }
    }
}

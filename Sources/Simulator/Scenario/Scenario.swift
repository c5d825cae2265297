package import Replication

/// Everything about a history that is decided before it begins. A seed makes it, nothing else does.
package struct Scenario: Sendable {
    /// How the volumes look before the first attach.
    package enum Beginning: Sendable {
        /// Fresh metadata, one side is promoted by force: a full sync.
        case fresh
        /// Fresh metadata, `new-current-uuid --clear-bitmap`.
        case freshWithoutSync
        /// Metadata of a pair that was in sync.
        case inSync
    }

    package struct Volume: Sendable {
        /// Sectors of the replicated device that both hosts can hold.
        package var sectors: UInt64
        /// Where the application reads and writes.
        package var areas: TrackedAreas
    }

    /// One host.
    package struct Host: Sendable {
        /// Sectors of the backing device, by volume; for internal metadata these include it.
        package var dataSectors: [UInt64] = []
        package var hasInternalMetadata = true
        package var disk = SimulatedDisk.Character()
        package var clockStart: UInt64 = 0
        package var clockError = 0
        package var options = DiskOptions()
        package var network = NetworkOptions()

        package init() {}
    }

    /// What applications do.
    package struct Load: Sendable {
        package var workersPerHost = 4
        /// Requests of a worker before it rests.
        package var burst = 4
        /// Nanoseconds, on average.
        package var rest = 1_000_000_000
        package var readsPercent = 30
        package var flushesPercent = 5
        package var zeroesPercent = 5
        package var forceUnitAccessPercent = 10
        package var sectorsMax = 512
        /// With two Primaries: each host keeps to its own half of the areas.
        package var isDisjoint = false

        package init() {}
    }

    package let seed: UInt64
    package var beginning = Beginning.inSync
    /// Both hosts are Primary whenever possible.
    package var isDual = false
    package var hosts: [Host] = []
    package var volumes: [Volume] = []
    package var resource = ResourceOptions()
    package var load = Load()
    package var network = SimulatedNetwork.Character()
    /// One read of so many is cut into pieces; 0: none.
    package var fragmentOneIn = 0
    /// Nanoseconds until all faults end.
    package var stormLength: UInt64 = 0
    /// In the order of time.
    package var faults: [PlannedFault] = []
    package var habits = OperatorHabits()

    /// Shortest form for the first line of a trace.
    package var summary: String {
        let options = hosts[0].network
        let sizes = volumes.map { "\($0.sectors)" }.joined(separator: "+")
        let places = hosts.map { $0.hasInternalMetadata ? "internal" : "external" }.joined(separator: "/")
        let caches = hosts.map { $0.disk.hasVolatileCache ? "volatile" : "safe" }.joined(separator: "/")
        return "seed \(seed): protocol \(options.wireProtocol), \(isDual ? "two Primaries" : "one Primary"), "
            + "sectors \(sizes), \(beginning), metadata \(places), caches \(caches), "
            + "after-sb \(options.afterSplitBrain0Primaries)/\(options.afterSplitBrain1Primary)/"
            + "\(options.afterSplitBrain2Primaries), \(faults.count) faults in \(stormLength / 1_000_000_000) s"
    }
}

/// How the admins of a history behave.
package struct OperatorHabits: Sendable {
    /// One look at the hosts of so many brings a command that nobody asked for; 0: never.
    package var whimOneIn = 20
    /// Promotes the survivor when a Primary is gone (else the Primary comes back by itself).
    package var failsOver = true
    /// Nanoseconds from the loss of a Primary to the promotion of the other side.
    package var failoverDelay: UInt64 = 3_000_000_000
    /// Promotes after a boot even though the peer was never seen: `wfc-timeout` ran out.
    package var startsAlone = false
    /// The kill of a program is followed by its restart after this many nanoseconds.
    package var restartDelay: UInt64 = 1_000_000_000

    package init() {}
}

/// One fault and when it begins.
package struct PlannedFault: Sendable {
    package enum Kind: Sendable {
        /// No bytes from these hosts for a while, then the streams go on.
        case cut(fromA: Bool, fromB: Bool)
        /// Both sides of connections see a reset.
        case reset
        /// Connections go silent for good.
        case forget
        /// `kill -9` of the program; the machine lives.
        case kill(host: Int)
        /// The machine is off for a while.
        case powerFailure(host: Int)
        /// Both machines, at one instant.
        case powerFailureOfAll
        case slowDisk(host: Int)
        case unreadable(host: Int)
        case unwritable(host: Int)
        case full(host: Int)
    }

    package var time: UInt64
    package var kind: Kind
    /// Nanoseconds until it is over (for crashes: until the host is started again).
    package var length: UInt64
    package var damage: CrashDamage
}

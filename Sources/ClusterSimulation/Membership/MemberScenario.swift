package import ClusterNet
internal import EngineKit
package import Heartbeat
package import LockManager

/// Rules broken on purpose in a ``MemberHistory``, each in the engine that keeps it.
package struct MemberFaults: Sendable {
    package var locks: LockManager.PlantedFaults = []
    package var heartbeat: Heartbeat.PlantedFaults = []
    package var net: ClusterNet.PlantedFaults = []

    package init() {}
}

/// What a ``MemberHistory`` is made of, drawn from its seed.
struct MemberScenario {
    enum What {
        /// The machine, or only its program.
        case kill(UInt64, isQuiet: Bool)
        case leave(UInt64)
        /// Nothing passes between two groups until one of them has given up.
        case split(UInt64)
        /// Nothing passes between two hosts, for a while that everybody can bear.
        case cut(UInt64, Duration)
        case diskHangs(UInt64, Duration)
        case diskFails(UInt64, Duration)
        case sleep(UInt64, Duration)
    }

    var nodeCount: UInt8
    var threshold: Int
    var idleTimeout: Duration
    var latencyMax: Duration
    var diskLatencyMax: Duration
    var restMilliseconds: UInt64
    var incidents: [(at: Duration, what: What)] = []
    var stormLength: Duration
    /// A dead or fenced host is back so much later at most; nil: never.
    var returnMax: Duration?
    var plantedFaults: MemberFaults

    private static let interval = Duration.seconds(2)

    init(seed: UInt64, _ plantedFaults: MemberFaults) {
        self.plantedFaults = plantedFaults
        let random = SeededRandom(seed: seed &* 0x9e37_79b9_7f4a_7c15 &+ 7)
        func draw(_ bound: UInt64) -> UInt64 { random.next(below: bound) }
        func milliseconds(_ least: UInt64, _ bound: UInt64) -> Duration { .milliseconds(Int64(least + draw(bound))) }
        nodeCount = UInt8(2 + draw(4))
        threshold = Int(3 + draw(4))
        idleTimeout = milliseconds(3000, 5000)
        latencyMax = milliseconds(1, [5, 200][Int(draw(2))])
        diskLatencyMax = milliseconds(1, [5, 300, 1400][Int(draw(3))])
        restMilliseconds = [50, 400, 2000][Int(draw(3))]
        returnMax = draw(3) == 0 ? nil : milliseconds(500, [3000, 20_000][Int(draw(2))])
        stormLength = milliseconds(5000, 30_000)
        for _ in 0..<(1 + draw(3)) {
            let at = Duration.milliseconds(Int64(12_000 + draw(UInt64(stormLength.nanosecondsClamped / 1_000_000))))
            let pick = draw(1 << 16)
            switch draw(14) {
            case 0, 1, 2: incidents.append((at, .kill(pick, isQuiet: draw(2) == 0)))
            case 3: incidents.append((at, .leave(pick)))
            case 4, 5, 6: incidents.append((at, .split(pick)))
            case 7, 8: incidents.append((at, .cut(pick, milliseconds(100, 9000))))
            case 9, 10: incidents.append((at, .diskHangs(pick, milliseconds(500, 30_000))))
            case 11: incidents.append((at, .diskFails(pick, milliseconds(500, 30_000))))
            default: incidents.append((at, .sleep(pick, milliseconds(500, 30_000))))
            }
        }
    }

    var heartbeatOptions: HeartbeatRegion.Options {
        var options = HeartbeatRegion.Options()
        options.deadThreshold = threshold
        options.plantedFaults = plantedFaults.heartbeat
        return options
    }

    /// As the daemon makes them of the timers of the cluster.
    var netOptions: ClusterNet.Options {
        var options = ClusterNet.Options()
        options.heartbeatTimeout = Self.interval * (threshold - 1)
        options.idleTimeout = idleTimeout
        options.quorumDelay = Self.interval * (threshold + 2)
        options.plantedFaults = plantedFaults.net
        return options
    }

    /// Until a split has ended one side: silence, the quorum's delay, the others' heartbeats.
    var splitLength: Duration {
        idleTimeout + netOptions.quorumDelay + heartbeatOptions.deadTime + .seconds(10)
    }

    /// How long a request may wait after the last incident.
    var patience: Duration { splitLength + splitLength + .seconds(30) }
}

internal import EngineKit
package import O2Layout

/// What a ``LockHistory`` is made of, drawn from its seed: sizes, delays, and what goes wrong when.
package struct LockScenario: Sendable {
    package enum What: Sendable {
        case kill(UInt64)
        /// A host dies that holds a lock at EX.
        case killHolder(UInt64)
        case killTwo(UInt64)
        /// The host ends its membership itself.
        case fence(UInt64)
        /// The host gives everything back and leaves.
        case leave(UInt64)
        /// Nothing passes between two hosts.
        case cut(UInt64, Duration)
        /// Nothing passes between one host and the others.
        case isolate(UInt64, Duration)
    }

    /// A moment that is given by a message: before or after it is handled its sender or receiver dies.
    package struct Ambush: Sendable {
        package var type: LockMessageType
        /// Which of them.
        package var count: UInt64
        package var killsSender: Bool
        package var isAfter: Bool
    }

    package var nodeCount: UInt8
    package var latencyMax: Duration
    package var detectionMax: Duration
    package var appearanceMax: Duration
    package var nameCount: Int
    package var usersPerHost: Int
    package var purgeAge: Duration
    package var stormLength: Duration
    package var incidents: [(at: Duration, what: What)] = []
    package var ambushes: [Ambush] = []
    /// After its death a node may be back so much later; nil: never.
    package var returnMax: Duration?
    /// At the end all leave at once.
    package var leavesTogether: Bool
    /// Hosts do not boot together.
    package var bootSpread: Duration

    /// Messages of moments that are short and rare, and what it takes to get there.
    private static let moments: [(types: [LockMessageType], cause: Cause)] = [
        ([.masterRequest, .assertMaster, .createLock, .convertLock, .proxyAST, .unlockLock, .dereference], .none),
        ([.migrateRequest, .migrateResource, .exitDomain, .beginExitDomain, .assertMaster, .dereferenceDone], .leave),
        ([.queryJoin, .assertJoined, .queryNodeInfo, .queryRegion, .cancelJoin, .assertMaster], .death),
        (
            [.masterRequery, .beginRecovery, .lockRequest, .recoveryDataDone, .finalizeRecovery, .migrateResource],
            .death
        ),
    ]

    private enum Cause {
        case none, death, leave
    }

    package init(seed: UInt64) {
        let random = SeededRandom(seed: seed &* 0x9e37_79b9_7f4a_7c15)
        func draw(_ bound: UInt64) -> UInt64 { random.next(below: bound) }
        func milliseconds(_ least: UInt64, _ bound: UInt64) -> Duration { .milliseconds(Int64(least + draw(bound))) }
        // One in fifty is long: what needs time, or comes from many things in a row.
        let isLong = draw(50) == 0
        nodeCount = UInt8(2 + draw(4))
        latencyMax = .microseconds(Int64(50 + draw([300, 1000, 4000][Int(draw(3))])))
        detectionMax = milliseconds(1, [10, 100, isLong ? 3000 : 300][Int(draw(3))])
        appearanceMax = milliseconds(0, 30)
        nameCount = Int(1 + draw(4))
        usersPerHost = Int(1 + draw(2))
        purgeAge = milliseconds(1, 60)
        stormLength = milliseconds(60, isLong ? 4000 : 240)
        bootSpread = milliseconds(0, [1, 20, 200][Int(draw(3))])
        returnMax = draw(3) == 0 ? nil : milliseconds(1, [20, 200, 600][Int(draw(3))])
        leavesTogether = draw(2) == 0
        for _ in 0..<draw(isLong ? 6 : 3) {
            let at = Duration.milliseconds(Int64(5 + draw(UInt64(stormLength.nanosecondsClamped / 1_000_000))))
            let (pick, length) = (draw(1 << 16), milliseconds(1, [20, 200, 2000][Int(draw(3))]))
            switch draw(12) {
            case 0, 1: incidents.append((at, .kill(pick)))
            case 2, 3: incidents.append((at, .killHolder(pick)))
            case 4: incidents.append((at, .killTwo(pick)))
            case 5, 6: incidents.append((at, .fence(pick)))
            case 7, 8: incidents.append((at, .leave(pick)))
            case 9, 10: incidents.append((at, .cut(pick, length)))
            default: incidents.append((at, .isolate(pick, length)))
            }
        }
        for _ in 0..<draw(isLong ? 4 : 3) {
            let moment = Self.moments[Int(draw(UInt64(Self.moments.count)))]
            let type = moment.types[Int(draw(UInt64(moment.types.count)))]
            ambushes.append(
                Ambush(
                    type: type, count: 1 + draw([3, 20][Int(draw(2))]), killsSender: draw(2) == 0, isAfter: draw(2) == 0
                ))
            let at = Duration.milliseconds(Int64(5 + draw(UInt64(stormLength.nanosecondsClamped / 1_000_000))))
            switch moment.cause {
            case .none: break
            case .leave: incidents.append((at, .leave(draw(1 << 16))))
            case .death: incidents.append((at, .kill(draw(1 << 16))))
            }
        }
    }
}

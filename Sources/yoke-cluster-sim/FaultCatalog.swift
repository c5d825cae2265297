import ClusterNet
import ClusterSimulation
import ClusterVolume
import Heartbeat
import LockManager

/// The rules that can be broken on purpose, and the histories that must notice.
enum FaultCatalog {
    struct Entry {
        var name: String
        var kind: HistoryKind
        var locks: LockManager.PlantedFaults = []
        var members = MemberFaults()
        var volumes: ClusterVolume.PlantedFaults = []
    }

    static let all: [Entry] = [
        lock("grantBeforeLowering", .grantBeforeLowering),
        lock("ignoreConverting", .ignoreConverting),
        lock("loseBlocking", .loseBlocking),
        lock("loseValueInRecovery", .loseValueInRecovery),
        lock("forgetWaitersInRecovery", .forgetWaitersInRecovery),
        lock("keepLocksOfDead", .keepLocksOfDead),
        lock("grantDuringRecovery", .grantDuringRecovery),
        lock("keepOutdatedValue", .keepOutdatedValue),
        lock("masterBeforeAllVoted", .masterBeforeAllVoted),
        lock("loseLockInMigration", .loseLockInMigration),
        lock("leaveAsMaster", .leaveAsMaster),
        lock("forgetReferences", .forgetReferences),
        lock("abandonRecovery", .abandonRecovery),
        lock("keepLocksWhenFenced", .keepLocksWhenFenced),
        member("neverLapse") { $0.heartbeat = .neverLapse },
        member("buryEarly") { $0.heartbeat = .buryEarly },
        member("ignoreQuorum") { $0.net = .ignoreQuorum },
        member("keepRequestsToDead") { $0.net = .keepRequestsToDead },
        volume("lowerBeforeWriteBack", .lowerBeforeWriteBack),
        volume("skipRefresh", .skipRefresh),
    ]

    static func find(_ name: String) -> Entry? { all.first { $0.name == name } }

    static var names: String { all.map(\.name).joined(separator: ", ") }

    private static func lock(_ name: String, _ fault: LockManager.PlantedFaults) -> Entry {
        Entry(name: name, kind: .locks, locks: fault)
    }

    private static func member(_ name: String, _ plant: (inout MemberFaults) -> Void) -> Entry {
        var entry = Entry(name: name, kind: .members)
        plant(&entry.members)
        return entry
    }

    private static func volume(_ name: String, _ fault: ClusterVolume.PlantedFaults) -> Entry {
        Entry(name: name, kind: .volumes, volumes: fault)
    }
}

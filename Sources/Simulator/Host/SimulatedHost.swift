internal import DRBDLayout
internal import EngineKit
internal import Replication

/// One machine: its disks, its clock, and the engine while the program runs.
final class SimulatedHost {
    /// Disks of one volume.
    struct Disks {
        var data: SimulatedDisk
        /// The same object for internal metadata.
        var metadata: SimulatedDisk
    }

    let index: Int
    let plan: Scenario.Host
    let clock: SimulatedClock
    let disks: [Disks]

    /// Nil while the program does not run.
    var engine: ReplicationEngine?
    /// Counts the starts of the program; what belongs to an earlier one is void.
    var incarnation = 0
    var isPowered = true
    /// Time of the last injected error of a disk.
    var lastDiskError: UInt64 = 0

    /// It had an error since both copies were last in sync.
    var isDiskSuspect = false

    /// As announced by the engine, by volume.
    var states: [DeviceState]
    var inputs: [Input] = []
    var firstInput = 0
    var isFeeding = false
    /// Time of the world for which a tick is in the queue.
    var tickTime: UInt64?
    var ticksAtSameTime = 0

    var application = ApplicationState()
    var admin = AdminState()

    init(index: Int, plan: Scenario.Host, disks: [Disks]) {
        self.index = index
        self.plan = plan
        self.disks = disks
        clock = SimulatedClock(startNanoseconds: plan.clockStart, partsPerMillion: plan.clockError)
        states = Array(repeating: DeviceState(), count: disks.count)
    }

    var isRunning: Bool { engine != nil }
    var name: String { index == 0 ? "A" : "B" }

    func disk(of device: BackingDeviceID) -> SimulatedDisk {
        let pair = disks[Int(device.volume.rawValue)]
        return device.part == .data ? pair.data : pair.metadata
    }

    var isPrimaryOnAll: Bool { states.allSatisfy { $0.role == .primary } }
    var isPrimaryOnAny: Bool { states.contains { $0.role == .primary } }
    var connection: ConnectionState { states[0].conn }

    /// Every volume shows two good copies and nothing in progress.
    var isSettled: Bool {
        states.allSatisfy { $0.conn == .connected && $0.disk == .upToDate && $0.pdsk == .upToDate }
    }

    func isCurrent(_ incarnation: Int) -> Bool {
        engine != nil && self.incarnation == incarnation
    }

    func backingDevice(of volume: Int) -> BackingDevice {
        BackingDevice(
            dataSectors: UInt64(disks[volume].data.byteCount / 512),
            metadataSectors: UInt64(disks[volume].metadata.byteCount / 512),
            metadataPlace: plan.hasInternalMetadata ? .internal : .flexibleExternal)
    }
}

/// What the applications of one host are doing.
struct ApplicationState {
    struct Worker {
        /// Requests left before it rests.
        var burstLeft = 0
        var isBusy = false
    }

    /// The volumes are open; new requests are issued.
    var isLoading = false
    /// The engine was told that the volumes are open.
    var isOpen = false
    var workers: [Worker] = []
    var outstanding = 0
}

/// What the admin of one host is doing.
struct AdminState {
    /// Steps that are still to be done.
    var script: [AdminStep] = []
    /// The command whose answer is awaited.
    var awaited: CommandID?
    var isFailureTolerated = false
    /// Time of the world before which nothing is done.
    var sleepsUntil: UInt64 = 0
    var wakeTime: UInt64?
    /// Something was taken away on purpose: nobody repairs it before this time.
    var leavesAloneUntil: UInt64 = 0
    /// When the host was first seen StandAlone; nil: it is not.
    var standAloneSince: UInt64?
    var sawSplitBrain = false
    /// A Primary would have had to become a sync target.
    var sawRoleConflict = false
    /// When its disk was first seen Inconsistent without a resync; nil: it is not.
    var inconsistentSince: UInt64?
    /// The disk was refused because a Primary works on other data.
    var isDataNotCurrent = false
    /// The last connect had discard-my-data.
    var connectedToDiscard = false
    var commandName = ""
    /// The volume that the awaited command attaches.
    var attaching: Int?
    /// The volume that the command under way makes Secondary.
    var demoting: Int?
}

/// One step of what an admin or an init script does.
enum AdminStep {
    case command(Command, name: String, isFailureTolerated: Bool)
    case stopLoad
    case closeVolumes
    case openVolumes
    case sleep(UInt64)
    /// End the program without a crash.
    case exit
}

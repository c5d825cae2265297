internal import EngineKit
package import Replication

/// Two hosts with real engines, and everything around them in memory: disks, network, clocks, applications, admins,
/// faults. A seed makes all of it.
///
/// One queue of events, by time and by order of insertion, plus the network's own; each event is handled to its end
/// before the next. The checkers look from outside, at what hosts announce, acknowledge and leave on their disks.
package final class World {
    /// What can happen besides what the network does.
    enum Event {
        case diskDone(host: Int, incarnation: Int, BackingDeviceID, ticket: Int, OperationID)
        case tick(host: Int, incarnation: Int)
        case worker(host: Int, incarnation: Int, worker: Int)
        case admin(host: Int)
        case look
        case faultBegins(Int)
        case faultEnds(Int)
        case boot(host: Int)
        case handlerDone(host: Int, incarnation: Int, HandlerRunID, status: Int32)
        case drain(host: Int, incarnation: Int, SocketID)
        case stormEnds
    }

    /// Where in its life a history is.
    enum Phase {
        case storm
        case healing
        case over
    }

    /// A history that is not settled so long after its faults ended is stuck.
    static let healingTimeMax: UInt64 = 1_200_000_000_000
    /// A history with more events than this goes round in circles.
    static let eventsMax = 3_000_000

    package let scenario: Scenario
    package let trace: Trace
    package internal(set) var marks = CoverageCounts()
    /// What a checker found first; nil: nothing so far.
    package private(set) var failure: String?
    /// Time of the world in nanoseconds.
    package internal(set) var now: UInt64 = 0

    let network: SimulatedNetwork
    let plantedFaults: PlantedFaults
    var hosts: [SimulatedHost] = []
    var models: [RegisterModel] = []
    var queue = EventQueue<Event>()
    var phase = Phase.storm
    var healingSince: UInt64 = 0
    var requests: [PendingRequest] = []
    var commandCount: UInt64 = 0
    /// The host that should be Primary where only one may be.
    var preferredPrimary = 0
    /// When the present Primary was first missed.
    var primaryMissedSince: UInt64?
    var hasBegun = false
    /// Attempts of the admins to end the present split brain.
    var splitBrainAttempts = 0
    let buffers = IOBufferPool()

    var loadRandom: [SimulationRandom]
    var adminRandom: SimulationRandom
    var machineRandom: SimulationRandom
    /// Actions of the engine that is being fed; kept to save the allocation.
    var actions: [Action] = []
    var knowledge = Knowledge()

    /// - Parameter output: takes each line of the trace; nil: only its hash is kept.
    package init(scenario: Scenario, plantedFaults: PlantedFaults = [], output: ((String) -> Void)? = nil) {
        self.scenario = scenario
        self.plantedFaults = plantedFaults
        trace = Trace(output: output)
        let seed = scenario.seed
        network = SimulatedNetwork(
            character: scenario.network, random: SimulationRandom(seed: seed, stream: 2))
        network.observesPackets = true
        loadRandom = [SimulationRandom(seed: seed, stream: 3), SimulationRandom(seed: seed, stream: 4)]
        adminRandom = SimulationRandom(seed: seed, stream: 5)
        machineRandom = SimulationRandom(seed: seed, stream: 6)
        makeMachines()
    }

    /// Runs the history to its end or to the first thing that is wrong.
    package func run() {
        begin()
        while failure == nil, phase != .over {
            guard step() else { return fail("nothing is left to happen, and the history is not at its end") }
            if trace.count > Self.eventsMax { fail("more than \(Self.eventsMax) events: \(describeHosts())") }
        }
    }

    /// Handles the next event. False when there is none.
    private func step() -> Bool {
        let own = queue.nextTime ?? .max
        let others = network.nextTime ?? .max
        guard min(own, others) != .max else { return false }
        now = min(own, others)
        trace.now = now
        network.setNow(now)
        if own <= others {
            if let (_, event) = queue.popNext() { handle(event) }
        } else {
            deliver(network.advance())
        }
        return true
    }

    private func handle(_ event: Event) {
        switch event {
        case .diskDone(let host, let incarnation, let device, let ticket, let operation):
            diskDone(host: host, incarnation: incarnation, device, ticket: ticket, operation)
        case .tick(let host, let incarnation): tick(host: host, incarnation: incarnation)
        case .worker(let host, let incarnation, let worker):
            workerWakes(host: host, incarnation: incarnation, worker: worker)
        case .admin(let host): runScript(host: host)
        case .look: look()
        case .faultBegins(let number): beginFault(number)
        case .faultEnds(let number): endFault(number)
        case .boot(let host): boot(host: host)
        case .handlerDone(let host, let incarnation, let run, let status):
            guard hosts[host].isCurrent(incarnation) else { return }
            feed(host: host, .handlerExited(run, status: status))
        case .drain(let host, let incarnation, let socket):
            guard hosts[host].isCurrent(incarnation) else { return }
            drain(host: host, socket)
        case .stormEnds: beginHealing()
        }
    }

    /// A checker found something wrong; the first finding counts.
    func fail(_ text: String) {
        guard failure == nil else { return }
        failure = text
        trace.note(.check, host: -1, "WRONG: \(text)")
    }

    func reach(_ mark: CoverageMark) {
        marks.reach(mark)
    }

    /// States of both hosts in one line.
    func describeHosts() -> String {
        hosts.map { host in
            guard host.isRunning else { return "\(host.name): down" }
            let states = host.states.map(Self.describe).joined(separator: ", ")
            var text = "\(host.name): \(states), \(host.application.outstanding) requests outstanding"
            if host.admin.awaited != nil { text += ", \(host.admin.commandName) not answered" }
            if let volumes = host.engine?.snapshot(now: host.clock.reading(at: now)).volumes {
                text += ", bits " + volumes.map { "\($0.outOfSyncBits)" }.joined(separator: "+")
                if volumes.contains(where: { $0.progress != nil }) { text += ", a resync or verify" }
                if volumes.contains(where: { $0.localPending != 0 }) { text += ", local operations counted" }
            }
            if !host.admin.script.isEmpty { text += ", \(host.admin.script.count) steps to do" }
            if !network.isIdle { text += ", bytes in the network" }
            if host.disks.contains(where: { !$0.data.isIdle || !$0.metadata.isIdle }) { text += ", disk busy" }
            return text
        }.joined(separator: "; ")
    }
}

/// What the checkers remember besides the register models.
struct Knowledge {
    /// By host, then volume: the last time at which no UpToDate data could be reached from there.
    var lastWithoutData: [[UInt64]] = [[], []]
    /// By host, then volume: the last times at which its own disk was not UpToDate, and at which it was not connected.
    var lastWithoutLocal: [[UInt64]] = [[], []]
    var lastApart: [[UInt64]] = [[], []]
    /// By host, then volume: the last time at which the host knew of a good copy, its own or a connected one.
    var lastWithCopy: [[UInt64]] = [[], []]
    var knowsCopy: [[Bool]] = [[], []]
    /// By host, then volume: when the last flush that succeeded was issued.
    var lastFlush: [[UInt64]] = [[], []]
    /// By host, then volume: that is so at the moment.
    var isWithoutData: [[Bool]] = [[], []]
    /// By host, then volume: the UUIDs last sent to the disk; nil before the first time.
    var uuids: [[[UInt64]?]] = [[], []]
    /// Comparisons of both disks that were made during the storm.
    var comparisons = 0
}

/// How many blocks a resync target (or the driving side of a verify) asks for in each tick of 0.1 s, so that a wanted
/// amount of data is always on its way. Spec: drbd-disk-and-state 19.1.
///
/// A plan of the next `c-plan-ahead` ticks holds corrections; each tick spreads the distance from the wanted amount
/// over the whole plan and takes what has come due. All numbers are sectors, but for the blocks at the edges.
package struct ResyncController {
    /// KiB/s that the last tick stood for; `want:` of /proc/drbd.
    package private(set) var reportedRate = 0
    /// Sectors requested and not answered. Those that were answered by an error stay in it, as in kernels.
    package private(set) var inFlightSectors = 0

    private var arrivedSectors = 0
    private var plan: [Int] = []
    private var planHead = 0
    private var planTotal = 0

    /// Ticks in a second, and sectors of a KiB.
    private static let ticksPerSecond = 10
    private static let sectorsPerKiB = 2
    private static let sectorsPerBlock = 8
    /// KiB/s of one block in each tick.
    private static let rateOfBlock = 40

    package init() {}

    /// A resync begins.
    package mutating func reset() {
        self = ResyncController()
    }

    /// Data or a word that none is needed came in. Not for refusals and cancellations.
    package mutating func sectorsArrived(_ sectors: Int) {
        arrivedSectors += sectors
    }

    /// A request was refused or cancelled: nothing of it comes.
    ///
    /// Deviation: kernels count it as under way for ever, and with enough of them ask for nothing any more.
    package mutating func requestRefused(_ blocks: Int) {
        inFlightSectors -= blocks * Self.sectorsPerBlock
    }

    /// The number of 4 KiB blocks to ask for now. The last request of a tick may take one more, see
    /// ``ResyncRequestFormer``.
    ///
    /// - Parameter buffersMax: `max-buffers`, in pages.
    package mutating func tick(options: DiskOptions, buffersMax: Int) -> Int {
        let arrived = arrivedSectors
        arrivedSectors = 0
        inFlightSectors -= arrived
        let number: Int
        if options.planAhead > 0 {
            number = plannedSectors(arrived, options) / Self.sectorsPerBlock
            reportedRate = number * Self.rateOfBlock
        } else {
            number = options.resyncRate / Self.rateOfBlock
            reportedRate = options.resyncRate
        }
        return max(0, min(number, buffersMax / 2 - inFlightSectors / Self.sectorsPerBlock))
    }

    /// What was really asked for in this tick.
    package mutating func blocksRequested(_ blocks: Int) {
        inFlightSectors += blocks * Self.sectorsPerBlock
    }

    private mutating func plannedSectors(_ arrived: Int, _ options: DiskOptions) -> Int {
        let steps = options.planAhead
        if plan.count != steps {
            plan = Array(repeating: 0, count: steps)
            planHead = 0
            planTotal = 0
        }
        let correction = wantedSectors(arrived, options) - inFlightSectors - planTotal
        let each = correction / steps
        for index in plan.indices { plan[index] += each }
        planTotal += each * steps
        let due = plan[planHead]
        plan[planHead] = 0
        planHead = (planHead + 1) % steps
        planTotal -= due
        return min(max(0, arrived + due), Self.sectorsPerTick(options.rateMax))
    }

    private func wantedSectors(_ arrived: Int, _ options: DiskOptions) -> Int {
        if inFlightSectors + arrived == 0 { return Self.sectorsPerTick(options.resyncRate) * options.planAhead }
        return options.fillTarget != 0 ? options.fillTarget : arrived * options.delayTarget
    }

    /// - Parameter rate: KiB/s.
    private static func sectorsPerTick(_ rate: Int) -> Int { rate * sectorsPerKiB / ticksPerSecond }
}

/// What each tracked sector of one volume may hold on each host, judged only by what applications asked and were told,
/// and by the states that the hosts announced.
///
/// Each host has, for each sector, the set of writes whose data the sector may hold there (write 0: never written).
/// - A write enters the sets of both hosts when it is issued and could be mirrored, of its own host in any case.
/// - When it is acknowledged, everything that was settled before it was issued leaves the set of every host that
///   surely has it. Writes under way at the same time stay: any order of them is right.
/// - A host that loses power may fall back to anything it held since the last acknowledged flush.
/// - When a resync ends the target's sets become the source's: what only the target had is gone. That is a loss unless
///   both hosts had been Primary apart and somebody allowed it (``discardGranted``).
/// - When two disks are declared in sync without a resync, their sets must have something in common in each sector.
final class RegisterModel {
    struct Write {
        var host: Int
        var issued: UInt64
        /// Acknowledged, failed, or its host gone for good; `.max` while it may still take effect.
        var settled: UInt64 = .max
        var isAcknowledged = false
        var isZero: Bool
        var range: Range<Int>
        /// State of ``RegisterModel/surety`` when it was issued, by host.
        var surety: [Surety]
    }

    /// Whether a host surely gets what is written now; a change of `generation` means that this changed meanwhile.
    struct Surety: Equatable {
        var isSure = false
        var generation = 0
    }

    /// A candidate that left a set since the last flush, and may be back after a power failure.
    struct Superseded {
        var index: Int
        var write: UInt32
        /// When, and by a write of which host.
        var time: UInt64
        var writer: Int
    }

    let areas: TrackedAreas
    var writes: [Write]
    /// By host, then by number of the sector.
    var cells: [[Candidates]]
    /// By writing host, then by host that is to have it.
    var surety: [[Surety]]
    /// By host: writes that it surely has and the other one perhaps not.
    var unreplicated: [[UInt32]] = [[], []]
    var superseded: [[Superseded]] = [[], []]
    /// By writing host: writes without an answer whose effects may still spread.
    var underWay: [[UInt32]] = [[], []]
    /// Writes of hosts that crashed, until the other side's connection ended too.
    var orphans: [UInt32] = []
    /// By host: it was Primary while it was not connected, since both were last in sync.
    var wasPrimaryApart = [false, false]
    /// By host: its changes may be thrown away.
    var discardGranted = [false, false]
    /// By host: its disk is Inconsistent because of errors and an admin gave up what only it holds.
    var isGivenUp = [false, false]
    /// The host that is being overwritten by the other one.
    var resyncTarget: Int?
    /// By host: a resync onto it began and did not end.
    var isHalfSynced = [false, false]
    var isInSync = false
    /// Whether writes of a host can reach the other one at all.
    var isSessionLive = [false, false]
    /// By host: its sets when it lost the target of a resync that has not noticed it yet, and reads the blocks that are
    /// done as they were then; nil: there is none.
    var cellsAtParting: [[Candidates]?] = [nil, nil]
    let usesProtocolC: Bool

    init(areas: TrackedAreas, usesProtocolC: Bool) {
        self.areas = areas
        self.usesProtocolC = usesProtocolC
        let blank = Surety()
        surety = [[blank, blank], [blank, blank]]
        writes = [
            Write(
                host: 0, issued: 0, settled: 0, isAcknowledged: true, isZero: true, range: 0..<0,
                surety: [blank, blank])
        ]
        let cell = Array(repeating: Candidates(0), count: areas.count)
        cells = [cell, cell]
    }

    // MARK: Writes

    /// A write was issued; returns its number, which its data carries.
    func issueWrite(host: Int, range: Range<Int>, isZero: Bool, now: UInt64) -> UInt32 {
        let number = UInt32(writes.count)
        writes.append(Write(host: host, issued: now, isZero: isZero, range: range, surety: surety[host]))
        underWay[host].append(number)
        for index in range { cells[host][index].insert(number) }
        if isSessionLive[host] {
            for index in range { cells[1 - host][index].insert(number) }
        }
        return number
    }

    /// Hosts that surely have a write that is acknowledged now.
    private func sureHosts(of write: Write) -> [Int] {
        [0, 1].filter { write.surety[$0].isSure && write.surety[$0] == surety[write.host][$0] }
    }

    func acknowledge(_ number: UInt32, isDurable: Bool, now: UInt64) {
        let write = writes[Int(number)]
        let sure = sureHosts(of: write)
        for host in sure {
            for index in write.range { supersede(host: host, index, by: number, now: now) }
            if isDurable { superseded[host].removeAll { write.range.contains($0.index) } }
        }
        if usesProtocolC || !isSessionLive[write.host] {
            if sure == [0] || sure == [1] { unreplicated[sure[0]].append(number) }
        }
        settle(number, isAcknowledged: true, now: now)
    }

    /// Everything that was settled before `number` was issued cannot be there any more.
    private func supersede(host: Int, _ index: Int, by number: UInt32, now: UInt64) {
        let issued = writes[Int(number)].issued
        let before = cells[host][index]
        var after = Candidates(number)
        for old in before.all where old != number {
            if writes[Int(old)].settled >= issued {
                after.insert(old)
            } else {
                superseded[host].append(
                    Superseded(index: index, write: old, time: now, writer: writes[Int(number)].host))
            }
        }
        cells[host][index] = after
    }

    /// The application was told that the write failed: it may have happened or not.
    func fail(_ number: UInt32, now: UInt64) {
        settle(number, isAcknowledged: false, now: now)
    }

    private func settle(_ number: UInt32, isAcknowledged: Bool, now: UInt64) {
        writes[Int(number)].settled = now
        writes[Int(number)].isAcknowledged = isAcknowledged
        let host = writes[Int(number)].host
        if let position = underWay[host].firstIndex(of: number) { underWay[host].remove(at: position) }
    }

    /// A flush that was issued at `issued` is acknowledged now: everything acknowledged before it is durable on the
    /// own disk, and what the own applications wrote on the other one too.
    func acknowledgeFlush(host: Int, issued: UInt64, surety issuedSurety: [Surety]) {
        for other in [0, 1] where issuedSurety[other].isSure && issuedSurety[other] == surety[host][other] {
            superseded[other].removeAll { $0.time <= issued && (other == host || $0.writer == host) }
        }
    }

    // MARK: Hosts

    /// The host is gone; what it had under way is orphaned.
    func crash(host: Int, losesCache: Bool, now: UInt64) {
        orphans.append(contentsOf: underWay[host])
        underWay[host].removeAll()
        if losesCache { loseCache(host: host) }
        if !isSessionLive[1 - host] { endOrphans(now: now) }
    }

    /// What the host had before the writes that it did not flush may be back.
    func loseCache(host: Int) {
        for entry in superseded[host] { cells[host][entry.index].insert(entry.write) }
        superseded[host].removeAll()
    }

    /// Nothing of what crashed hosts had under way can take effect any more.
    func endOrphans(now: UInt64) {
        for number in orphans { writes[Int(number)].settled = min(writes[Int(number)].settled, now) }
        orphans.removeAll()
    }

    /// Writes of this host reach the other one from now on (or not any more).
    func setSessionLive(host: Int, _ isLive: Bool, now: UInt64) {
        guard isSessionLive[host] != isLive else { return }
        isSessionLive[host] = isLive
        let isSourceLeaving = !isLive && isSessionLive[1 - host] && resyncTarget == 1 - host
        cellsAtParting = [nil, nil]
        if isSourceLeaving { cellsAtParting[host] = cells[host] }
        if isLive {
            for number in underWay[host] {
                for index in writes[Int(number)].range { cells[1 - host][index].insert(number) }
            }
        } else if !orphans.isEmpty {
            endOrphans(now: now)
        }
    }

    func setSurety(writer: Int, holder: Int, _ isSure: Bool) {
        guard surety[writer][holder].isSure != isSure else { return }
        surety[writer][holder] = Surety(isSure: isSure, generation: surety[writer][holder].generation + 1)
    }
}

internal import DRBDLayout
internal import EngineKit
internal import Replication

// What applications do, and what they are told.
extension World {
    /// Begins to issue requests on a host that has just opened its volumes.
    func startLoad(host: SimulatedHost) {
        guard !host.application.isLoading, phase == .storm else { return }
        host.application.isLoading = true
        for worker in host.application.workers.indices where !host.application.workers[worker].isBusy {
            rest(host: host, worker: worker)
        }
    }

    private func rest(host: SimulatedHost, worker: Int) {
        host.application.workers[worker].burstLeft = loadRandom[host.index].between(1, 2 * scenario.load.burst - 1)
        let wait = loadRandom[host.index].below(2 * max(1, scenario.load.rest)) + 1
        queue.add(
            .worker(host: host.index, incarnation: host.incarnation, worker: worker), at: now + UInt64(wait))
    }

    func workerWakes(host index: Int, incarnation: Int, worker: Int) {
        let host = hosts[index]
        guard host.isCurrent(incarnation), host.application.isLoading, !host.application.workers[worker].isBusy else {
            return
        }
        host.application.workers[worker].isBusy = true
        issue(host: host, worker: worker)
    }

    private func issue(host: SimulatedHost, worker: Int) {
        let volume = loadRandom[host.index].below(scenario.volumes.count)
        let kind = drawKind(host: host.index)
        let number = requests.count
        var request = PendingRequest(
            host: host.index, volume: volume, worker: worker, kind: kind, range: 0..<0, issued: now)
        if kind != .flush { request.range = drawRange(host: host.index, volume: volume) }
        let model = models[volume]
        let byteCount = request.range.count * 512
        switch kind {
        case .flush: request.surety = model.surety[host.index]
        case .read:
            request.view = model.issueRead(
                reader: host.index, range: request.range, holders: holders(host: host.index, volume: volume), now: now)
            request.data = IOSlice(buffer: buffers.take(byteCount: byteCount), offset: 0, count: byteCount)
        case .write: break
        case .discard, .writeZeroes: break
        }
        var payload = request.data
        if kind != .read, kind != .flush {
            let isZero: Bool
            if case .write = kind { isZero = false } else { isZero = true }
            request.write = model.issueWrite(host: host.index, range: request.range, isZero: isZero, now: now)
            if !isZero { payload = stampedData(volume: volume, request) }
        }
        requests.append(request)
        host.application.outstanding += 1
        let sector = request.range.isEmpty ? 0 : models[volume].areas.sector(at: request.range.lowerBound)
        trace.note(
            .request, host: host.index, UInt64(number), sector,
            "#\(number) volume \(volume) \(Self.describe(kind)) \(sector)+\(request.range.count)"
                + (request.write > 0 ? " as write \(request.write)" : ""))
        feed(
            host: host.index,
            .request(
                ApplicationRequest(
                    id: RequestID(UInt64(number)), volume: VolumeNumber(UInt16(volume)), kind: kind, sector: sector,
                    byteCount: byteCount, data: payload)))
    }

    private func drawKind(host: Int) -> ApplicationRequest.Kind {
        let load = scenario.load
        let roll = loadRandom[host].below(100)
        if roll < load.readsPercent { return .read }
        if roll < load.readsPercent + load.flushesPercent { return .flush }
        if roll < load.readsPercent + load.flushesPercent + load.zeroesPercent {
            // A discard that does not read as zeroes afterwards would have no defined contents: only zeroes are
            // checked, and discards where they read as zeroes (they do on the disks here).
            return loadRandom[host].chance(1, in: 2)
                ? .discard : .writeZeroes(mayUnmap: loadRandom[host].chance(1, in: 2))
        }
        return .write(forceUnitAccess: loadRandom[host].below(100) < load.forceUnitAccessPercent)
    }

    /// Sectors inside one area; with disjoint loads inside this host's half of it.
    private func drawRange(host: Int, volume: Int) -> Range<Int> {
        let areas = scenario.volumes[volume].areas.areas
        var number = loadRandom[host].below(areas.count)
        // With disjoint loads a large area has two halves, of the small ones each host has every other.
        if scenario.load.isDisjoint, areas[number].count < 32, number % 2 != host {
            number += number + 1 < areas.count ? 1 : -1
        }
        let area = areas[number]
        var first = area.firstIndex
        var end = area.firstIndex + area.count
        if scenario.load.isDisjoint, area.count >= 32 {
            // Whole 4 KiB blocks for each, as cluster filesystems do.
            let middle = Int((area.sector + UInt64(area.count / 2) + 7) / 8 * 8 - area.sector) + area.firstIndex
            if host == 0 { end = middle } else { first = middle }
        }
        let length = loadRandom[host].skewed(1, max(1, min(scenario.load.sectorsMax, end - first)))
        let start = first + loadRandom[host].below(end - first - length + 1)
        guard loadRandom[host].chance(3, in: 4) else { return start..<start + length }
        // Most writers use whole 4 KiB blocks.
        let offset = Int(area.sector) - area.firstIndex
        let aligned = (start + offset) / 8 * 8 - offset
        let alignedEnd = min(end, aligned + (length + 7) / 8 * 8)
        return aligned >= first && aligned < alignedEnd ? aligned..<alignedEnd : start..<start + length
    }

    private func stampedData(volume: Int, _ request: PendingRequest) -> IOSlice {
        let buffer = buffers.take(byteCount: request.range.count * 512)
        let first = models[volume].areas.sector(at: request.range.lowerBound)
        for position in 0..<request.range.count {
            SectorStamp(write: request.write, sector: first + UInt64(position)).fill(buffer.base + position * 512)
        }
        return IOSlice(buffer: buffer, offset: 0, count: request.range.count * 512)
    }

    // MARK: Answers

    func completed(host: SimulatedHost, _ id: RequestID, errno: Int32) {
        let number = Int(id.rawValue)
        guard number < requests.count else {
            return fail("\(host.name) completes a request that was never made: \(number)")
        }
        let request = requests[number]
        trace.note(
            .answer, host: host.index, id.rawValue, UInt64(errno), "#\(number)\(errno == 0 ? "" : " errno \(errno)")")
        guard request.state == .underWay, request.host == host.index else {
            return fail("\(host.name) completes request #\(number) again")
        }
        requests[number].state = .answered
        requests[number].data = nil
        requests[number].view = nil
        host.application.outstanding -= 1
        if errno == 0 { judge(host: host, number, request) } else { judgeError(host: host, number, request, errno) }
        host.application.workers[request.worker].isBusy = false
        nextRequest(host: host, worker: request.worker)
    }

    private func nextRequest(host: SimulatedHost, worker: Int) {
        guard host.application.isLoading else { return }
        host.application.workers[worker].burstLeft -= 1
        guard host.application.workers[worker].burstLeft > 0 else { return rest(host: host, worker: worker) }
        let pause = UInt64(loadRandom[host.index].below(100_000))
        queue.add(.worker(host: host.index, incarnation: host.incarnation, worker: worker), at: now + pause)
    }

    private func judge(host: SimulatedHost, _ number: Int, _ request: PendingRequest) {
        let model = models[request.volume]
        switch request.kind {
        case .read:
            guard let view = request.view, let data = request.data else { return }
            let copies = holders(host: host.index, volume: request.volume)
            if let problem = model.checkRead(view, data: UnsafeRawBufferPointer(data.bytes), holders: copies) {
                fail("read #\(number) on \(host.name), volume \(request.volume): \(problem)")
            }
        case .flush:
            let volume = request.volume
            let lastWithCopy = knowledge.lastWithCopy[host.index][volume]
            if !knowledge.knowsCopy[host.index][volume], lastWithCopy < request.issued {
                fail("flush #\(number) on \(host.name) succeeds, though that knew of no good copy all the time")
            }
            knowledge.lastFlush[host.index][request.volume] = request.issued
            model.acknowledgeFlush(host: host.index, issued: request.issued, surety: request.surety)
        case .write(let forceUnitAccess):
            model.acknowledge(request.write, isDurable: forceUnitAccess, now: now)
        case .discard, .writeZeroes:
            model.acknowledge(request.write, isDurable: false, now: now)
        }
    }

    /// An error is right only if a disk failed or no UpToDate data could be reached while the request was under way.
    private func judgeError(host: SimulatedHost, _ number: Int, _ request: PendingRequest, _ errno: Int32) {
        reach(.requestFailed)
        if request.write > 0 { models[request.volume].fail(request.write, now: now) }
        // A flush tells of what was lost since the last one that succeeded.
        var since = request.issued
        if case .flush = request.kind { since = knowledge.lastFlush[host.index][request.volume] }
        let hadDiskError = hosts.contains { $0.lastDiskError >= request.issued && $0.lastDiskError > 0 }
        let isWithoutData = knowledge.isWithoutData[host.index][request.volume]
        let wasWithoutData = knowledge.lastWithoutData[host.index][request.volume] >= since
        // What only the peer got is lost with the connection, also if the own disk comes back with it.
        let wasOnlyRemote =
            knowledge.lastWithoutLocal[host.index][request.volume] >= since
            && knowledge.lastApart[host.index][request.volume] >= since
        if !hadDiskError, !isWithoutData, !wasWithoutData, !wasOnlyRemote {
            fail(
                "request #\(number) on \(host.name) fails with errno \(errno), though UpToDate data was there all the time"
            )
        }
    }

    /// Whose copy answers a read on this host; empty: it cannot be said.
    func holders(host: Int, volume: Int) -> [Int] {
        let own = hosts[host].states[volume]
        let other = hosts[1 - host].states[volume]
        if own.disk == .upToDate {
            // A read that fails here goes to the peer.
            return hosts[host].lastDiskError > 0 && own.conn >= .connected ? [host, 1 - host] : [host]
        }
        // Cut off in the middle of a resync it may read the blocks that are done, as they were at that time: like any
        // Primary that is cut off it sees nothing newer, and which time it was is not followed.
        if own.conn < .connected { return [] }
        return other.disk == .upToDate ? [1 - host] : [0, 1]
    }
}

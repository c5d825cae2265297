internal import DRBDLayout
internal import EngineKit
internal import Replication

// What must be true of the disks, at rest and at a crash.
extension World {
    /// Both hosts say that all is well and nothing is under way: then both copies are equal, and hold what they may.
    func checkAtRest() {
        for volume in scenario.volumes.indices {
            let left = hosts[0].disks[volume].data
            let right = hosts[1].disks[volume].data
            if let sector = firstDifference(left, right, sectors: scenario.volumes[volume].sectors) {
                return fail(
                    "volume \(volume): both copies are UpToDate but differ at sector \(sector): "
                        + describeSector(volume, sector))
            }
            for host in 0...1 {
                let disk = hosts[host].disks[volume].data
                let problem = models[volume].checkDisk(host: host) { sector, count in
                    disk.contents(offset: Int(sector) * 512, count: count * 512)
                }
                if let problem { return fail("volume \(volume), disk of \(hosts[host].name): \(problem)") }
            }
        }
        for number in requests.indices where requests[number].state == .underWay {
            return fail("request #\(number) on \(hosts[requests[number].host].name) was never answered")
        }
    }

    /// A demotion ends when the peer has all that was answered, with every protocol: whoever is promoted there finds it.
    func checkDemoted(_ host: SimulatedHost, _ volume: Int) {
        for host in hosts {
            let state = host.states[volume]
            guard state.conn == .connected, state.disk == .upToDate, state.pdsk == .upToDate else { return }
            guard state.role == .secondary, !hasDifferences(host, volume) else { return }
        }
        reach(.demotedWhole)
        let sectors = scenario.volumes[volume].sectors
        guard let sector = firstDifference(hosts[0].disks[volume].data, hosts[1].disks[volume].data, sectors: sectors)
        else { return }
        fail(
            "volume \(volume): \(host.name) is demoted, but its peer lacks sector \(sector): "
                + describeSector(volume, sector))
    }

    private func hasDifferences(_ host: SimulatedHost, _ volume: Int) -> Bool {
        guard let engine = host.engine else { return true }
        return engine.snapshot(now: host.clock.reading(at: now)).volumes[volume].outOfSyncBits > 0
    }

    private func describeSector(_ volume: Int, _ sector: UInt64) -> String {
        hosts.map { host in
            let bytes = host.disks[volume].data.contents(offset: Int(sector) * 512, count: 512)
            let found =
                switch bytes.withUnsafeBytes({ SectorStamp.decode($0) }) {
                case .zeroes: "zeroes"
                case .torn: "garbage"
                case .stamp(let stamp): models[volume].describe(Candidates(stamp.write))
                }
            return "\(host.name) has \(found)"
        }.joined(separator: ", ")
    }

    /// First sector of the volume at which two disks differ.
    func firstDifference(_ left: SimulatedDisk, _ right: SimulatedDisk, sectors: UInt64) -> UInt64? {
        var first: UInt64?
        forEachDifference(left, right, sectors: sectors) { sector in
            first = min(first ?? .max, sector)
            return true
        }
        return first
    }

    /// Calls `body` with sectors that differ, page by page in no order, until it returns false.
    private func forEachDifference(
        _ left: SimulatedDisk, _ right: SimulatedDisk, sectors: UInt64, _ body: (UInt64) -> Bool
    ) {
        for page in left.store.usedPages {
            guard compare(page, left, right, sectors, body) else { return }
        }
        for page in right.store.usedPages where left.store.page(page) == nil {
            guard compare(page, left, right, sectors, body) else { return }
        }
    }

    private func compare(
        _ page: Int, _ left: SimulatedDisk, _ right: SimulatedDisk, _ sectors: UInt64, _ body: (UInt64) -> Bool
    ) -> Bool {
        guard UInt64(page) * 8 < sectors else { return true }
        for sector in UInt64(page) * 8..<min(UInt64(page) * 8 + 8, sectors) {
            guard differs(left.store.page(page), right.store.page(page), Int(sector % 8) * 512) else { continue }
            if !body(sector) { return false }
        }
        return true
    }

    private func differs(_ left: UnsafeRawPointer?, _ right: UnsafeRawPointer?, _ offset: Int) -> Bool {
        for word in 0..<64 {
            let one = left.map { $0.load(fromByteOffset: offset + 8 * word, as: UInt64.self) } ?? 0
            let other = right.map { $0.load(fromByteOffset: offset + 8 * word, as: UInt64.self) } ?? 0
            if one != other { return true }
        }
        return false
    }

    // MARK: Crashes

    /// At a crash, what both disks say about differences must cover the differences that are there: each block that
    /// differs is marked in a bitmap or lies in an extent of the activity log of a Primary. Otherwise no resync would
    /// ever find it.
    ///
    /// Both sides are judged by their disks, as if the other one crashed now too; only caches differ. Skipped where
    /// the two are no pair (no common generation, or one was never synced).
    func checkCoverage(after event: String) {
        for volume in scenario.volumes.indices {
            let sectors = scenario.volumes[volume].sectors
            let images = hosts.map { host in
                MetadataImage(
                    disk: host.disks[volume].metadata, isInternal: host.plan.hasInternalMetadata, sectors: sectors)
            }
            guard let left = images[0], let right = images[1], isPair(left, right) else { continue }
            forEachDifference(
                hosts[0].disks[volume].data, hosts[1].disks[volume].data, sectors: sectors
            ) { sector in
                let block = Int(sector / 8)
                if left.covers(block: block) || right.covers(block: block) { return true }
                fail(
                    "volume \(volume), after \(event): sector \(sector) differs and neither disk knows: "
                        + describeSector(volume, sector))
                return false
            }
        }
    }

    /// Whether a bitmap resync, or none, would follow from these two.
    private func isPair(_ left: MetadataImage, _ right: MetadataImage) -> Bool {
        guard left.isConsistent || right.isConsistent, left.uuids[0] & ~1 > 4, right.uuids[0] & ~1 > 4 else {
            return false
        }
        let leftCurrent = left.uuids[0] & ~1
        let rightCurrent = right.uuids[0] & ~1
        if leftCurrent == rightCurrent { return true }
        return left.uuids[1] & ~1 == rightCurrent || right.uuids[1] & ~1 == leftCurrent
    }
}

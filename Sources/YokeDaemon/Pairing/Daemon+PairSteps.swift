internal import Configuration
internal import CryptoDigests
internal import DRBDLayout
internal import Logging
internal import Pairing
internal import Replication
internal import YokeControl

/// One side of a plan, on its host: what it is called and what it has changed.
struct PairSide: Sendable {
    var plan: PairPlan
    /// 0: where `yoke init` was run.
    var index: Int
    var token: PairingToken
    var changes: HostChanges

    /// Of the resource; both sides derive the same one.
    var sharedSecret: String {
        PairingKeys(token: token, digests: SystemDigests()).sharedSecret(resource: plan.resource)
    }

    var own: PairHost { plan.hosts[index] }
    var peer: PairHost { plan.hosts[1 - index] }
}

// The steps of a set-up that both hosts take, and their way back.
extension Daemon {
    // MARK: Prepare

    /// Disk, files, metadata; then the resource is up and connects.
    func prepare(_ side: PairSide, _ say: @escaping @Sendable (String) -> Void) async throws(PairingRefusal) {
        let (plan, changes, paths) = (side.plan, side.changes, paths)
        let disk = side.own.disk
        if disk.isNewFile {
            try await Self.blockingResult { () throws(PairingRefusal) in
                try changes.makeImage(paths.path(disk.path), byteCount: plan.byteCount, isSparse: disk.isSparse)
            }.get()
            say("disk: \(ByteSize.text(plan.byteCount)) in \(disk.path)" + (disk.isSparse ? ", sparse" : ""))
        } else {
            say("disk: \(disk.path), \(ByteSize.text(disk.byteCount))")
        }
        try await Self.blockingResult { [self] () throws(PairingRefusal) in try write(side) }.get()
        let loaded = loadConfiguration()
        guard loaded.configuration?.resource(named: plan.resource)?.ownHost != nil else {
            let first = loaded.errors.first?.text ?? "it does not name this host"
            throw PairingRefusal("the configuration cannot be used: \(first)")
        }
        let cluster = plan.makesCluster ? ", cluster \(plan.cluster)" : ""
        say("configuration: \(PairFiles.resourceFile(plan.resource))\(cluster)")
        // What was there was asked for before.
        try await command(["--", "--force", "create-md", plan.resource], "the disk cannot be made ready")
        try await command(["up", plan.resource], "the resource does not come up")
    }

    private func write(_ side: PairSide) throws(PairingRefusal) {
        let (plan, changes) = (side.plan, side.changes)
        // The secret of the resource is in it.
        try changes.write(
            paths.path(PairFiles.resourceFile(plan.resource)),
            PairFiles.resource(plan, sharedSecret: side.sharedSecret), mode: 0o600)
        let main = mainConfiguration
        if let text = PairFiles.main(HostFindings.text(of: main)) { try changes.write(main, text) }
        try changes.makeDirectory(paths.path(plan.mountPoint))
        guard plan.makesCluster else { return }
        try changes.write(paths.path(ClusterFile.path), PairFiles.cluster(plan))
        let settings = ServiceSettings.load(root: paths.root, source: FileConfigurationSource())
        try changes.write(settings.path, PairFiles.service(plan, settings))
    }

    /// A command of drbdadm; what it said is in the refusal.
    private func command(_ arguments: [String], _ what: String) async throws(PairingRefusal) {
        let output = CollectedOutput()
        guard await administer(arguments, told: output) != 0 else { return }
        let reason = output.lines.filter { !$0.hasPrefix("Command '") }.joined(separator: "\n")
        throw PairingRefusal("\(what): \(reason.isEmpty ? "the log of yoked says more" : reason)")
    }

    // MARK: Connect, first data

    private var firstVolume: VolumeNumber { VolumeNumber(0) }

    private func runner(_ plan: PairPlan) throws(PairingRefusal) -> ResourceRunner {
        guard let runner = registry.resource(plan.resource) else {
            throw PairingRefusal("\(plan.resource) was taken down by somebody")
        }
        return runner
    }

    /// Until the replication is connected, as long as `mayGoOn` says so, asked every second. False: it said no.
    func waitForPeer(
        _ side: PairSide, seconds: Int, _ mayGoOn: @Sendable () -> Bool
    ) async throws(PairingRefusal) -> Bool {
        let runner = try runner(side.plan)
        var answer: StateWaiter.Answer?
        for _ in 0..<seconds where answer == nil {
            guard mayGoOn() else { return false }
            answer = await runner.wait(for: firstVolume, seconds: 1) { volume in
                let state = volume.snapshot.state
                if state.conn == .standAlone { return .gaveUp }
                return state.conn >= .connected && state.pdsk >= .inconsistent ? .reached : nil
            }
        }
        guard answer == .reached else {
            throw PairingRefusal(
                "the replication does not connect: is port \(side.plan.port) open between \(side.own.address) and "
                    + "\(side.peer.address), in both directions?")
        }
        return true
    }

    /// Both disks are zeroes: they are declared equal. Else the disk here counts, and a first sync begins.
    func giveFirstData(_ side: PairSide) async throws(PairingRefusal) {
        let runner = try runner(side.plan)
        let isEqual = side.plan.areDisksEqual
        let result = await runner.execute(
            isEqual ? .newCurrentUUID(firstVolume, clearBitmap: true) : .primary(firstVolume, force: true))
        guard SetupService.isGood(result) else { throw PairingRefusal("the first data are refused: \(result)") }
        try await waitUntilGood(side)
        if isEqual { try await promote(side) }
    }

    /// Until the disk here is good; and the peer's, where no sync is needed.
    private func waitUntilGood(_ side: PairSide) async throws(PairingRefusal) {
        let isEqual = side.plan.areDisksEqual
        let answer = try await runner(side.plan).wait(for: firstVolume, seconds: 30) { volume in
            let state = volume.snapshot.state
            guard state.conn >= .connected else { return .gaveUp }
            return state.disk == .upToDate && (!isEqual || state.pdsk == .upToDate) ? .reached : nil
        }
        guard answer == .reached else {
            throw PairingRefusal("the disks do not become up to date: see the log of yoked")
        }
    }

    private func promote(_ side: PairSide) async throws(PairingRefusal) {
        let result = try await runner(side.plan).execute(.primary(firstVolume, force: false))
        guard SetupService.isGood(result) else { throw PairingRefusal("it cannot be made Primary: \(result)") }
    }

    func makeFilesystem(_ side: PairSide) async throws(PairingRefusal) {
        let runner = try runner(side.plan)
        let (plan, volume) = (side.plan, firstVolume)
        let refusal = await Self.blocking {
            VolumeFormatter.format(
                runner, volume, label: plan.resource, cluster: plan.cluster, isZero: plan.areDisksEqual)
        }
        if let refusal { throw refusal }
    }

    // MARK: Mount and keep

    /// Primary and mounted. The disk of the other host is not waited for: its turn comes with the end of the first sync.
    func mountFirst(_ side: PairSide) async throws(PairingRefusal) {
        let plan = side.plan
        if side.index == 1 {
            try await waitUntilGood(side)
            try await promote(side)
        }
        let runner = try runner(plan)
        if let minor = registry.minors(of: runner).first {
            await roleMayHaveChanged(ResourceRegistry.Device(runner: runner, volume: minor.volume))
        }
        guard let words = try? MountWords(PairPlan.mountOptions) else {
            preconditionFailure("the options of a set-up are good: \(PairPlan.mountOptions)")
        }
        do throws(MountFailure) {
            try await mount(
                MountRequest(source: plan.device, directory: paths.path(plan.mountPoint), words: words))
        } catch {
            throw PairingRefusal("it cannot be mounted: \(error.text)")
        }
    }

    /// The line of fstab; from now on the daemon keeps it mounted, and nothing is taken back.
    func keepMounted(_ side: PairSide) async throws(PairingRefusal) {
        let (changes, plan, path) = (side.changes, side.plan, paths.path(PairFiles.fstab))
        try await Self.blockingResult { () throws(PairingRefusal) in
            try changes.write(path, PairFiles.fstab(plan, HostFindings.text(of: path)))
            changes.keep()
        }.get()
    }

    // MARK: Back

    /// Everything as it was before. Not stopped by the end of the command that asked for the set-up.
    func takeBack(_ side: PairSide) async {
        await Task { await self.takeBackNow(side) }.value
    }

    private func takeBackNow(_ side: PairSide) async {
        let plan = side.plan
        if let mount = mounts.find(paths.path(plan.mountPoint)) {
            if let problem = await detach(mount, isLazy: true) { logger.warning("\(plan.resource): \(problem)") }
            mount.abort()
            await mount.waitForEnd()
        }
        if let runner = registry.resource(plan.resource) {
            _ = await runner.execute(.disconnect(force: true))
            for entry in registry.minors(of: runner) {
                _ = await nodes.remove(ResourceRegistry.Device(runner: runner, volume: entry.volume))
            }
            _ = await administer(["down", plan.resource])
            if !side.own.disk.isNewFile { _ = await administer(["--", "--force", "wipe-md", plan.resource]) }
        }
        if plan.makesCluster { _ = membership.unregister(plan.cluster) }
        let changes = side.changes
        for problem in await Self.blocking({ changes.takeBack() }) {
            logger.warning("\(plan.resource): not taken back: \(problem)")
        }
        logger.notice("\(plan.resource): the set-up is taken back")
    }

    /// What a crash left of set-ups that were not complete. Before anything is started.
    func takeBackUnfinishedSetups() {
        for changes in HostChanges.unfinished(stateDirectory: paths.stateDirectory) {
            let problems = changes.takeBack()
            for problem in problems { logger.warning("\(changes.resource): not taken back: \(problem)") }
            logger.notice("\(changes.resource): a set-up that was interrupted is taken back")
        }
    }

    // MARK: Blocking work that may be refused

    static func blockingResult<Value: Sendable>(
        _ work: @escaping @Sendable () throws(PairingRefusal) -> Value
    ) async -> Result<Value, PairingRefusal> {
        await blocking {
            do throws(PairingRefusal) {
                return .success(try work())
            } catch {
                return .failure(error)
            }
        }
    }
}

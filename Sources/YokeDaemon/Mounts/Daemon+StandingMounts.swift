internal import Configuration
internal import DRBDLayout
internal import Logging
internal import Replication
internal import YokeControl

// Keeping the mounts of fstab: in the right order, waiting for what must be waited for, and saying so.
extension Daemon {
    private static let lookInterval = Duration.seconds(1)

    private static let fstabInterval = Duration.seconds(5)

    /// Also lines that are added while the daemon runs. Returns when it ends.
    func keepStandingMounts() async {
        let path = paths.path("/etc/fstab")
        await withTaskGroup { group in
            var kept: [StandingMount] = []
            while !Task.isCancelled {
                let fstab: [UInt8]? = await Self.blocking { try? FileConfigurationSource().read(path) }
                let text = String(decoding: fstab ?? [], as: UTF8.self)
                for mount in StandingMount.all(in: text) where !kept.contains(mount) {
                    kept.append(mount)
                    group.addTask { await self.keep(mount) }
                }
                try? await Task.sleep(for: Self.fstabInterval)
            }
        }
    }

    private func keep(_ standing: StandingMount) async {
        var told: String?
        let place = directory(of: standing)
        defer { waitingMounts.remove(place) }
        while !Task.isCancelled {
            if let obstacle = await bringUp(standing) {
                waitingMounts.set(standing.source, place, obstacle)
                if obstacle != told {
                    logger.notice("\(standing.source) on \(standing.directory) waits: \(obstacle)")
                    told = obstacle
                }
                await pause()
                continue
            }
            told = nil
            waitingMounts.remove(place)
            guard await standsUntilStopped(standing) else { return }
            await giveUp(standing)
        }
    }

    private func pause() async {
        try? await Task.sleep(for: Self.lookInterval)
    }

    private func directory(of standing: StandingMount) -> String { paths.path(standing.directory) }

    // MARK: Up

    /// Nil: it is mounted. Else what it waits for.
    private func bringUp(_ standing: StandingMount) async -> String? {
        guard mounts.find(directory(of: standing)) == nil else { return nil }
        let words: MountWords
        do throws(MountWords.Refusal) {
            words = try MountWords(standing.options)
        } catch {
            return "its line in fstab is wrong: \(error.text)"
        }
        do throws(MountFailure) {
            let located = try await locate(standing.source)
            if case .replicated(let device) = located.place, let obstacle = await promote(device) { return obstacle }
            try await mount(
                MountRequest(source: standing.source, directory: directory(of: standing), words: words))
            return nil
        } catch {
            return error.text
        }
    }

    /// A volume is promoted when the peer is there and the own data are good: what it does without a peer is decided at
    /// the start (`wfc-timeout`, `become-primary-on`), and by the administrator.
    private func promote(_ device: ResourceRegistry.Device) async -> String? {
        let number = device.volume
        guard let state = await device.runner.ask({ $0.snapshot(of: number)?.state }) ?? nil else {
            return "the volume is not up"
        }
        if state.role == .primary { return nil }
        let words = "cs:\(state.conn) ds:\(state.disk)"
        guard state.conn >= .connected else { return "the peer is not connected (\(words))" }
        guard state.disk == .upToDate else { return "the first sync, or the resync, has not ended (\(words))" }
        guard await administer(["primary", device.runner.name]) == 0 else { return "it cannot be made Primary" }
        return nil
    }

    // MARK: Down

    /// False: somebody has unmounted it, and it stays so until the daemon starts again. True: this host was shut out of the
    /// volume's cluster.
    private func standsUntilStopped(_ standing: StandingMount) async -> Bool {
        while !Task.isCancelled {
            guard let mount = mounts.find(directory(of: standing)) else { return false }
            if let reason = await mount.report()?.stopReason {
                logger.warning("\(standing.source) on \(standing.directory) is mounted anew: \(reason)")
                return true
            }
            await pause()
        }
        return false
    }

    /// Lets go of a mount that serves nothing any more, and goes back to the peer: with its data, as far as they differ.
    private func giveUp(_ standing: StandingMount) async {
        guard let mount = mounts.find(directory(of: standing)) else { return }
        let runner = mount.runner
        if let problem = await cutOff(mount) { logger.warning("\(standing.source): \(problem)") }
        await waitForEnd(of: mount)
        guard let runner else { return }
        while !Task.isCancelled, await administer(["secondary", runner.name]) != 0 { await pause() }
        _ = await administer(["disconnect", runner.name])
        _ = await administer(["connect", runner.name])
    }
}

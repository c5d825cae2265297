internal import Configuration
internal import EngineKit
internal import Glibc
internal import Logging
internal import Replication
internal import YokeControl

// Start and stop.
extension Daemon {
    /// Time for a clean end of all resources after SIGTERM; then the process ends as after a crash.
    static let stopTimeout: Duration = .seconds(20)

    /// Runs until `isStopping` answers.
    ///
    /// - Parameter waitForStop: returns when SIGTERM or SIGINT came.
    package func run(waitForStop: () async -> Void) async throws {
        let lock = try DaemonLock(paths: paths)
        for directory in [paths.path("/var"), paths.path("/var/lib"), paths.stateDirectory] { mkdir(directory, 0o755) }
        paths.announce(node: settings.node)
        takeBackUnfinishedSetups()
        let server = try await ControlServer.start(paths: paths, service: self)
        logger.notice(
            "yoked \(YokeVersion.text): node \(identity.nodeName), root \(paths.root), control socket \(paths.controlSocket)"
        )
        front.start(self)
        startCluster()
        let starting =
            settings.startsResources
            ? Task {
                await self.startResources()
                await self.keepStandingMounts()
            } : nil
        await waitForStop()
        logger.notice("yoked: stopping")
        starting?.cancel()
        for pair in pairs.all { pair.end(1, "\(pair.resource): yoked was stopped; nothing was changed") }
        await server.stop()
        // While their volumes are still there.
        await stopMounts()
        await stopResources()
        front.stop()
        registry.stopReactor()
        logger.notice("yoked: stopped")
        withExtendedLifetime(lock) {}
    }

    /// What the classic init script does: everything up, then wait for the peers, then promote.
    private func startResources() async {
        guard access(mainConfiguration, F_OK) == 0 else {
            logger.notice("no configuration yet, nothing is started: yoke init makes a first volume with another host")
            return
        }
        let loaded = loadConfiguration()
        for diagnostic in loaded.diagnostics {
            let level: Logger.Level = diagnostic.severity == .error ? .error : .warning
            for line in diagnostic.text.split(separator: "\n") { logger.log(level: level, "configuration: \(line)") }
        }
        guard let configuration = loaded.configuration else {
            logger.error("no usable configuration: nothing is started; correct it, then: yoke drbdadm up all")
            return
        }
        let names = configuration.ownResources.map(\.name)
        guard !names.isEmpty else {
            logger.notice("no resource of this host (\(identity.nodeName)) in \(loaded.path): nothing to start")
            return
        }
        let status = await administer(["up", "all"])
        if status != 0 {
            for name in names where !isAttached(name) {
                let advice = "if it never had metadata: yoke drbdadm create-md \(name); then: yoke drbdadm up \(name)"
                logger.error("drbd \(name): has no disk and is left alone; \(advice)")
            }
            logger.error("not every resource came up: see above, then: yoke drbdadm up all")
        }
        await withTaskGroup { group in
            for name in names where registry.resource(name) != nil {
                group.addTask { await self.waitAndPromote(name) }
            }
        }
    }

    private func isAttached(_ name: String) -> Bool {
        guard let runner = registry.resource(name) else { return false }
        return registry.minors(of: runner).contains { registry.isAttached($0.minor) }
    }

    /// One resource that waits for its peer does not hold up another.
    private func waitAndPromote(_ name: String) async {
        guard await administer(["wait-connect", name]) != 20, !Task.isCancelled else { return }
        _ = await administer(["sh-b-pri", name])
    }

    /// Clean down of everything: clients leave, device nodes go, then demote, disconnect, detach.
    private func stopResources() async {
        await withTaskGroup { group in
            for runner in registry.resources { group.addTask { await self.stop(runner) } }
        }
    }

    private func stop(_ runner: ResourceRunner) async {
        await nodes.forget(runner)
        _ = await runner.ask { $0.shutDownClients() }
        var isClean = false
        let downTask = Task { () -> Bool in
            for _ in 0..<50 {
                if await runner.ask({ $0.clients.isEmpty }) ?? true { break }
                try? await Task.sleep(for: .milliseconds(100))
            }
            _ = await runner.ask { runner in for client in runner.clients { client.abandon() } }
            let result = await runner.execute(.down)
            if !SetupService.isGood(result) { self.logger.warning("drbd \(runner.name): not taken down: \(result)") }
            return SetupService.isGood(result)
        }
        let timer = Task {
            try? await Task.sleep(for: Self.stopTimeout)
            await runner.stop()
        }
        isClean = await downTask.value
        timer.cancel()
        if !isClean { logger.warning("drbd \(runner.name): ended as after a crash; the activity log covers it") }
        registry.remove(runner)
        await runner.stop()
    }
}

/// The version of this build.
package enum YokeVersion {
    package static let text = "0.1"
}

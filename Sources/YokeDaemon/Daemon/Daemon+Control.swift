internal import Configuration
internal import Replication
package import YokeControl

// Requests of the control socket: `drbdsetup ...`, and our own verbs that need the daemon.
extension Daemon: ControlService {
    package func run(_ request: ControlRequest, output: ControlOutput) async -> Int32 {
        if let node = request.node, node != identity.nodeName {
            output.standardError(
                "this yoked is node \(identity.nodeName), not \(node): choose the root of the other one with --root\n")
            return 20
        }
        let words = Array(request.command.dropFirst())
        switch request.command.first {
        case "drbdsetup": return await service.run(words, columns: request.columns, output: output)
        case "status": return await status(words, isTerminal: request.columns != nil, output)
        case "proc-drbd":
            output.standardOutput(ProcText.text(of: await service.reports()))
            return 0
        case "drbd-overview": return await overview(output)
        case "export": return await export(words, output)
        case "device": return await device(words, output)
        case "mount": return await mount(words, output)
        case "umount": return await unmount(words, output)
        case "takeover": return await takeOver(words, output)
        case "cluster": return cluster(words, output)
        case "init": return await initialize(words, output)
        case "join": return await join(words, output)
        case "minor": return minorState(words, output)
        case "mount-point": return await mountPoint(words, output)
        case let name:
            output.standardError("yoked does not know the command '\(name ?? "")': use a command of the same release\n")
            return 20
        }
    }

    // MARK: status

    private func status(_ words: [String], isTerminal: Bool, _ output: ControlOutput) async -> Int32 {
        let isJSON = words.contains("--json")
        let isColoured = isTerminal && !words.contains("--plain")
        let names = words.filter { !$0.hasPrefix("--") }
        var last: String?
        while true {
            let all = await service.reports()
            let selected = names.isEmpty ? all : all.filter { names.contains($0.name) }
            if let missing = names.first(where: { name in !all.contains { $0.name == name } }) {
                output.standardError(
                    "no resource \(missing) is up on \(identity.nodeName): yoke drbdadm up \(missing)\n")
                return 2
            }
            let node = identity.nodeName
            let mounts = names.isEmpty ? await mountReports() : []
            let text =
                isJSON
                ? HumanStatus.json(of: selected, mounts, node: node).text
                : HumanStatus.text(of: selected, mounts, node: node, isColoured: isColoured)
            // A terminal shows the newest only; a file keeps them all.
            let isScreen = isTerminal && !isJSON && words.contains("--watch")
            let front = isScreen ? TerminalText.cleared : last == nil ? "" : "\n"
            if text != last { output.standardOutput(front + text) }
            last = text
            guard words.contains("--watch") else { return HumanStatus.exitStatus(of: selected, mounts) }
            do {
                try await Task.sleep(for: .seconds(1))
            } catch {
                return 0
            }
        }
    }

    private func mountReports() async -> [MountReport] {
        var reports: [MountReport] = []
        for mount in mounts.all {
            if let report = await mount.report() { reports.append(report) }
        }
        return reports + waitingMounts.reports
    }

    private func overview(_ output: ControlOutput) async -> Int32 {
        let configuration = loadConfiguration().configuration
        var configured: [Int: String] = [:]
        for resource in configuration?.ownResources ?? [] {
            for volume in resource.ownHost?.volumes ?? [] {
                configured[volume.minor] = "\(resource.name)/\(volume.number)"
            }
        }
        output.standardError(OverviewText.notice)
        output.standardOutput(
            OverviewText.text(
                of: await service.reports(), configured: configured, users: await nodes.mountTexts()))
        return 0
    }

    /// `attached` or `free`: what drbdmeta asks before it touches a device.
    private func minorState(_ words: [String], _ output: ControlOutput) -> Int32 {
        let isAttached = words.first.flatMap { service.minor($0) }.map { registry.isAttached($0) } ?? false
        output.standardOutput(isAttached ? "attached\n" : "free\n")
        return 0
    }

    /// The directory on which the volume of a device is mounted, or nothing: what mkfs.ocfs2 asks, because a mount in here
    /// claims no device node.
    private func mountPoint(_ words: [String], _ output: ControlOutput) async -> Int32 {
        guard let word = words.first, let mount = await findMount(word) else { return 0 }
        output.standardOutput(mount.directory + "\n")
        return 0
    }

    // MARK: export and device

    /// `R`, `R/V`, `minor-N` or `/dev/drbdN`.
    func find(_ name: String) -> (device: ResourceRegistry.Device, minor: Int)? {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        if let runner = registry.resource(name), let first = registry.minors(of: runner).first {
            return (ResourceRegistry.Device(runner: runner, volume: first.volume), first.minor)
        }
        if parts.count == 2, let runner = registry.resource(String(parts[0])), let number = UInt16(parts[1]),
            let entry = registry.minors(of: runner).first(where: { $0.volume == VolumeNumber(number) })
        {
            return (ResourceRegistry.Device(runner: runner, volume: entry.volume), entry.minor)
        }
        guard let minor = service.minor(name), let device = registry.device(minor) else { return nil }
        return (device, minor)
    }

    func notUp(_ name: String, _ output: ControlOutput) -> Int32 {
        output.standardError("no volume \(name) is up on \(identity.nodeName): yoke drbdadm up \(name)\n")
        return 1
    }
}

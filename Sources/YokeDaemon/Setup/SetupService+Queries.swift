internal import DRBDLayout
internal import Replication

// Commands that only look. Spec: drbd-config-and-tools 11, 12.
extension SetupService {
    /// Reports of all resources, sorted by name.
    package func reports() async -> [ResourceReport] {
        var reports: [ResourceReport] = []
        for runner in registry.resources {
            if let report = await runner.ask({ $0.report() }) { reports.append(report) }
        }
        return reports
    }

    func query(
        _ command: String, _ minor: Int, _ device: ResourceRegistry.Device, _ output: any CommandOutput
    ) async -> Int32 {
        guard let volume = await report(of: device) else {
            return output.failure("\(minor)", .minorNotAllocated, info: "unknown minor")
        }
        switch command {
        case "state":
            let warning = "'drbdsetup ... state' is deprecated, use 'drbdsetup ... role' instead.\n"
            output.standardError(warning + warning)
            output.standardOutput(QueryText.role(volume) + "\n")
        case "role": output.standardOutput(QueryText.role(volume) + "\n")
        case "cstate": output.standardOutput(QueryText.connectionState(volume) + "\n")
        case "dstate": output.standardOutput(QueryText.diskState(volume) + "\n")
        default:
            guard let uuids = volume.snapshot.uuids, let flags = volume.snapshot.metadataFlags else {
                return output.failure("\(minor)", .noDisk)
            }
            output.standardOutput(
                command == "get-gi"
                    ? QueryText.generationIdentifiers(uuids: uuids, flags: flags) + "\n"
                    : QueryText.explainedGenerationIdentifiers(uuids: uuids, flags: flags))
        }
        return 0
    }

    private func report(of device: ResourceRegistry.Device) async -> VolumeReport? {
        let volume = device.volume
        return await device.runner.ask { $0.report().volumes.first { $0.snapshot.volume == volume } } ?? nil
    }

    func status(_ call: SetupInvocation, columns: Int?, _ output: any CommandOutput) async -> Int32 {
        let all = await reports()
        var selected = all
        if let name = call.arguments.first {
            selected = all.filter { report in
                report.name == name || report.volumes.contains { minor(name) == $0.minor }
            }
            guard !selected.isEmpty else {
                output.standardError("\(name): No such resource\n")
                return 10
            }
        }
        if call.has("json") {
            output.standardOutput(StatusJSON.value(of: selected).text)
            return 0
        }
        let text = StatusText(isVerbose: call.has("verbose"), hasStatistics: call.has("statistics"))
        for report in selected { output.standardOutput(text.text(of: report)) }
        return 0
    }

    func show(_ call: SetupInvocation, _ output: any CommandOutput) async -> Int32 {
        let text = ShowText(withDefaults: call.has("show-defaults"))
        let all = await reports()
        guard let name = call.arguments.first else {
            for report in all { output.standardOutput(text.text(of: report)) }
            return 0
        }
        let found = all.first { $0.name == name } ?? all.first { $0.volumes.contains { minor(name) == $0.minor } }
        guard let found else {
            output.standardError("\(name): No such resource\n")
            return 10
        }
        output.standardOutput(text.text(of: found))
        return 0
    }

    func shellStatus(_ call: SetupInvocation, _ output: any CommandOutput) async -> Int32 {
        let wanted = call.arguments.first.flatMap(minor)
        if let name = call.arguments.first, wanted == nil {
            return output.usage("Cannot determine minor device number of device '\(name)'\n")
        }
        var isKnown = wanted == nil
        for report in await reports() {
            for volume in report.volumes where wanted == nil || volume.minor == wanted {
                isKnown = true
                output.standardOutput(QueryText.shellStatus(volume, of: report))
            }
        }
        if !isKnown, let wanted { output.standardOutput(QueryText.unknownShellStatus(minor: wanted)) }
        return 0
    }

    // MARK: Waiting

    func wait(_ call: SetupInvocation, _ output: any CommandOutput) async -> Int32 {
        guard let minor = minor(call.arguments[0]), let device = registry.device(minor),
            let volume = await report(of: device)
        else {
            return output.usage("error determining which timeout to use: minor not available\n")
        }
        var seconds: [Int] = []
        for name in ["wfc-timeout", "degr-wfc-timeout", "outdated-wfc-timeout"] {
            let text = call.extras[name] ?? "0"
            guard let number = Int(text), (0...300_000).contains(number) else {
                return output.usage("\(text) is not a valid number\n")
            }
            seconds.append(number)
        }
        let times = WaitTimes(connection: seconds[0], degraded: seconds[1], outdated: seconds[2])
        output.standardError(times.notices)
        let waitsAfterSplitBrain = call.has("wait-after-sb")
        let isSync = call.command == "wait-sync"
        let limit = times.limit(peerDisk: volume.snapshot.state.pdsk, wasDegraded: volume.snapshot.wasDegraded)
        let answer = await device.runner.wait(for: device.volume, seconds: limit) { volume in
            let state = volume.snapshot.state
            return isSync
                ? WaitTimes.syncAnswer(state, waitsAfterSplitBrain: waitsAfterSplitBrain)
                : WaitTimes.connectAnswer(state, waitsAfterSplitBrain: waitsAfterSplitBrain)
        }
        switch answer {
        case .reached, .gaveUp: return 0
        case nil: return SetupExit.timeout
        case .gone: return output.failure("\(minor)", .minorNotAllocated, info: "unknown minor")
        }
    }
}

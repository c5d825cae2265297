internal import Configuration

// adjust: what differs between the configuration and the running system, and nothing else. The order is the 8.4
// program's: over all resources, what must go goes first, then resources, their options, minors, disks, connections.
// Spec: drbd-config-and-tools 10.

extension AdministrationPlanner {
    /// A target with what runs of it.
    private struct Adjustment {
        var target: Target
        var running: RunningResource?
        /// Volumes that run with the same minor.
        var volumes: [(configured: VolumeModel, running: RunningResource.Volume?)]
    }

    mutating func planAdjust(_ targets: [Target]) async {
        var adjustments: [Adjustment] = []
        for target in targets {
            let text = await facts.runningConfiguration(of: target.resource.name) ?? ""
            let running = RunningResource(show: text, name: target.resource.name)
            let volumes = target.volumes.map { volume in
                (volume, running?.volumes.first { $0.number == volume.number && $0.minor == volume.minor })
            }
            adjustments.append(Adjustment(target: target, running: running, volumes: volumes))
        }
        for item in adjustments { planRemovals(item) }
        for item in adjustments where item.running == nil {
            group += 1
            add(.drbdsetup(calls.newResource(item.target)), .medium, stage: .createResource, of: item.target)
        }
        for item in adjustments { planResourceOptions(item) }
        for item in adjustments { planMinors(item) }
        for item in adjustments { planDisks(item) }
        for item in adjustments { planDisconnect(item) }
        for item in adjustments { planNet(item) }
    }

    /// Disks that are exchanged, and volumes that are gone.
    private mutating func planRemovals(_ item: Adjustment) {
        for (configured, running) in item.volumes {
            guard let running, running.disk != nil, !hasSameDisk(configured, running) else { continue }
            group += 1
            add(.drbdsetup(calls.minor("detach", configured)), .long, stage: .createResource, of: item.target)
        }
        for volume in item.running?.volumes ?? [] {
            let isKept = item.volumes.contains { $0.running == volume }
            guard !isKept else { continue }
            group += 1
            if volume.disk != nil {
                add(
                    .drbdsetup(["detach", "\(volume.minor)"] + calls.extra), .long, stage: .createResource,
                    of: item.target)
            }
            add(
                .drbdsetup(["del-minor", "\(volume.minor)"] + calls.extra), .medium, stage: .createResource,
                of: item.target)
        }
    }

    private mutating func planResourceOptions(_ item: Adjustment) {
        guard let running = item.running else { return }
        let wanted = calls.resourceOptions(item.target)
        guard differs(wanted, running.options, section: .options) else { return }
        group += 1
        let words = ["resource-options", item.target.resource.name, "--set-defaults"] + calls.options(wanted)
        add(.drbdsetup(words + calls.extra), .medium, stage: .adjustResource, of: item.target)
    }

    private mutating func planMinors(_ item: Adjustment) {
        group += 1
        let remark = "\(program.name): new-minor \(item.target.resource.name): skipped due to earlier error\n"
        for (configured, running) in item.volumes where running == nil {
            add(
                .drbdsetup(calls.newMinor(item.target, configured)), .medium, stage: .prepareDisk, of: item.target,
                skipRemark: remark)
        }
    }

    private mutating func planDisks(_ item: Adjustment) {
        for (configured, running) in item.volumes {
            group += 1
            guard let running, running.disk != nil, hasSameDisk(configured, running) else {
                planAttach(item.target, configured, stage: .adjustDisk)
                continue
            }
            let all = calls.diskOptions(item.target, configured)
            let changeable = all.filter { $0.descriptor?.isInitialOnly != true }
            if differs(changeable, running.diskOptions, section: .disk) {
                let words = ["disk-options", "\(configured.minor)", "--set-defaults"] + calls.options(changeable)
                add(.drbdsetup(words + calls.extra), .medium, stage: .adjustDisk, of: item.target)
            }
            let size = all.filter { $0.name == "size" }
            let runningSize = running.diskOptions.filter { $0.name == "size" }
            if differs(size, runningSize, section: .disk, includesInitial: true) {
                let words = ["resize", "\(configured.minor)"] + calls.options(size) + calls.extra
                add(.drbdsetup(words), .medium, stage: .adjustDisk, of: item.target)
                add(.drbdsetup(["check-resize", "\(configured.minor)"]), .medium, stage: .adjustDisk, of: item.target)
            }
        }
    }

    /// The old connection goes if its addresses are others.
    private mutating func planDisconnect(_ item: Adjustment) {
        guard let own = item.running?.ownAddress, let peer = item.running?.peerAddress else { return }
        guard let wanted = calls.addresses(item.target), !isSameConnection([own, peer], wanted) else { return }
        group += 1
        add(.drbdsetup(["disconnect", own, peer] + calls.extra), .medium, stage: .prepareNet, of: item.target)
    }

    private mutating func planNet(_ item: Adjustment) {
        group += 1
        guard let running = item.running, let own = running.ownAddress, let peer = running.peerAddress,
            let wanted = calls.addresses(item.target), isSameConnection([own, peer], wanted)
        else {
            return planConnect(item.target)
        }
        let options = item.target.resource.effectiveOptions(.net)
        guard differs(options, running.net, section: .net) else { return }
        let words = ["net-options"] + wanted + ["--set-defaults"] + calls.options(options)
        add(.drbdsetup(words + calls.extra), .medium, stage: .adjustNet, of: item.target)
    }

    // MARK: Comparing

    private func hasSameDisk(_ configured: VolumeModel, _ running: RunningResource.Volume) -> Bool {
        guard let disk = running.disk, let metaDisk = running.metaDisk else { return false }
        let wantedMeta: String
        switch configured.metaDisk {
        case .internal: wantedMeta = "internal"
        case .flexible(let path): wantedMeta = facts.resolvedPath(path)
        case .indexed(let path, let index): wantedMeta = "\(facts.resolvedPath(path)) \(index)"
        }
        // A flexible device is shown alone, or with the word.
        let shownMeta = metaDisk.hasSuffix(" flexible") ? String(metaDisk.dropLast(9)) : metaDisk
        return disk == facts.resolvedPath(configured.disk) && shownMeta == wantedMeta
    }

    /// Addresses compare by value: `fd00:0::1` is `fd00::1`.
    private func isSameConnection(_ running: [String], _ wanted: [String]) -> Bool {
        zip(running, wanted).allSatisfy { Self.canonical($0) == Self.canonical($1) }
    }

    private static func canonical(_ endpoint: String) -> [String] {
        guard let colon = endpoint.lastIndex(of: ":"), let first = endpoint.firstIndex(of: ":"), first < colon else {
            return [endpoint]
        }
        let address = endpoint[endpoint.index(after: first)..<colon].filter { $0 != "[" && $0 != "]" }
        let bytes = IPAddress(String(address))?.bytes.map { "\($0)" }.joined(separator: ".") ?? String(address)
        return [String(endpoint[..<first]), bytes, String(endpoint[endpoint.index(after: colon)...])]
    }

    /// Whether any option has another value than the running one; what is not set has its default.
    private func differs(
        _ wanted: [OptionEntry], _ running: [RunningResource.Option], section: OptionSection,
        includesInitial: Bool = false
    ) -> Bool {
        OptionTable.options(of: section).contains { option in
            guard !option.isFromNine, includesInitial || !option.isInitialOnly else { return false }
            let first = wanted.last { $0.name == option.name }?.value ?? option.defaultText
            let second = running.last { $0.name == option.name }?.value ?? option.defaultText
            return !option.isSame(first, second)
        }
    }
}

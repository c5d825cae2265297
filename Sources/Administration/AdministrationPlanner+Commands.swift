internal import Configuration

// The commands on resources and volumes. Spec: drbd-config-and-tools 10.

extension AdministrationPlanner {
    mutating func plan(_ command: AdministrationCommand, _ target: Target) {
        switch command.group {
        case .handler: planHandler(command, target)
        case .shell: planShell(command.name, target)
        case .usual, .expert:
            if command.scope == .resource {
                planResource(command.name, target)
            } else {
                for volume in target.volumes { planVolume(command.name, target, volume) }
            }
        }
    }

    // MARK: Whole resources

    private mutating func planResource(_ name: String, _ target: Target) {
        let resource = target.resource.name
        switch name {
        case "connect":
            guard let words = calls.connect(target) else { return failWithoutPeer(target) }
            add(.drbdsetup(words), .long, of: target)
        case "net-options", "disconnect":
            guard let addresses = calls.addresses(target) else { return failWithoutPeer(target) }
            add(.drbdsetup([name] + addresses + calls.extra), .medium, of: target)
        case "resource-options":
            add(.drbdsetup([name, resource] + calls.extra), .medium, of: target)
        case "new-resource":
            add(.drbdsetup(calls.newResource(target)), .medium, of: target)
        case "down":
            add(.drbdsetup([name, resource] + calls.extra), .medium, of: target)
        case "status":
            add(.drbdsetup([name, resource] + calls.extra), .short, of: target)
        default:
            fail("\(program.name): \(name) is not supported; use dump\n", code: 1)
        }
    }

    // MARK: Volumes

    private mutating func planVolume(_ name: String, _ target: Target, _ volume: VolumeModel) {
        switch name {
        case "attach": planAttach(target, volume)
        case "new-minor", "sh-new-minor": add(.drbdsetup(calls.newMinor(target, volume)), .medium, of: target)
        case "invalidate": planWithFallback(name, target, volume, unless: [11, 17], .medium)
        case "dstate", "show-gi", "get-gi": planWithFallback(name, target, volume, unless: [11, 17], .short)
        case "outdate":
            add(
                .drbdsetup(calls.minor(name, volume)), .medium, onFailure: .tryNext(unless: [17]), of: target,
                hidesErrors: true)
            add(.drbdmeta(calls.meta(volume, [name])), .medium, onFailure: .stopGroupAs(5), of: target)
        case "resize", "check-resize":
            let size = calls.sizeOption(target, volume)
            add(.drbdsetup(["resize", "\(volume.minor)"] + size + calls.extra), .medium, of: target)
            add(.drbdsetup(["check-resize", "\(volume.minor)"]), .medium, of: target)
        case "create-md": planCreateMetadata(target, volume)
        case "dump-md", "wipe-md", "apply-al", "set-gi":
            add(.drbdmeta(calls.meta(volume, [name])), .unlimited, of: target)
        case "wait-connect":
            add(.drbdsetup(calls.waitConnect(target, volume)), .unlimited, of: target)
        case "role", "cstate":
            add(.drbdsetup(calls.minor(name, volume)), .short, of: target)
        case "detach":
            add(.drbdsetup(calls.minor(name, volume)), .long, of: target)
        default:
            // primary, secondary, disk-options, verify, pause-sync, suspend-io and their like.
            add(.drbdsetup(calls.minor(name, volume)), .medium, of: target)
        }
    }

    mutating func planAttach(_ target: Target, _ volume: VolumeModel, stage: PlanStage = .single) {
        add(.drbdmeta(calls.meta(volume, ["apply-al"])), .long, stage: stage, of: target)
        add(.drbdsetup(calls.attach(target, volume)), .long, stage: stage, of: target)
    }

    /// The running system first, the meta data if it does not have the volume.
    private mutating func planWithFallback(
        _ name: String, _ target: Target, _ volume: VolumeModel, unless codes: [Int32], _ timeout: TimeoutClass
    ) {
        add(
            .drbdsetup(calls.minor(name, volume)), timeout, onFailure: .tryNext(unless: codes), of: target,
            hidesErrors: true)
        add(.drbdmeta(calls.meta(volume, [name])), timeout, of: target)
    }

    private mutating func planCreateMetadata(_ target: Target, _ volume: VolumeModel) {
        add(.drbdmeta(calls.meta(volume, ["create-md"])), .unlimited, of: target)
        let digits = String(facts.randomDeviceUUID(), radix: 16, uppercase: true)
        let uuid = String(repeating: "0", count: 16 - digits.utf8.count) + digits
        let words = SetupCalls(configuration: configuration, facts: facts, extra: []).meta(
            volume, ["write-dev-uuid", uuid])
        add(.drbdmeta(words), .unlimited, of: target, isHiddenInDryRun: true)
    }

    // MARK: Handlers

    /// No command configured: nothing to do, status 0. Spec: drbd-disk-and-state 17.
    private mutating func planHandler(_ command: AdministrationCommand, _ target: Target) {
        guard let text = target.resource.handler(command.name) else { return }
        // Of several volumes, which `all` may mean, none is named.
        let volume = command.scope == .resource || target.volumes.count > 1 ? nil : target.volumes.first
        let environment = HandlerEnvironment.variables(
            resource: target.resource, volume: volume, configurationPath: configuration.path,
            resolvedDisk: volume.map { facts.resolvedPath($0.disk) })
        add(.shellHandler(command: text, environment: environment), .unlimited, of: target)
    }

    // MARK: For scripts

    private mutating func planShell(_ name: String, _ target: Target) {
        switch name {
        case "sh-resource": print(target.resource.name)
        case "sh-lr-of": fail("sh-lower-resource only available in stacked mode\n", code: 1)
        case "sh-b-pri": planBecomePrimary(target)
        case "new-resource": planResource(name, target)
        case "proxy-up", "proxy-down":
            fail("\(program.name): \(name) is not supported: there is no DRBD Proxy\n", code: 1)
        case "sh-udev": planUdev(target)
        default:
            for volume in target.volumes {
                switch name {
                case "sh-dev": print(volume.devicePath)
                case "sh-minor": print("\(volume.minor)")
                case "sh-ll-dev": print(facts.resolvedPath(volume.disk))
                case "sh-md-dev": print(facts.resolvedPath(volume.metaDevice))
                case "sh-md-idx": print(volume.metaIndexText)
                default: print(target.host.address.address)
                }
            }
        }
    }

    /// Promotes if this host is to be Primary after start-up.
    private mutating func planBecomePrimary(_ target: Target) {
        let startup = OptionValues(.startup, target.resource.effectiveOptions(.startup))
        let names = startup.names("become-primary-on")
        let isNamed = names.contains { $0 == "both" || $0 == configuration.nodeName || target.host.names.contains($0) }
        guard isNamed else { return }
        for volume in target.volumes {
            add(.drbdsetup(calls.minor("primary", volume)), .medium, onFailure: .retry(times: 5), of: target)
        }
    }

    private mutating func planUdev(_ target: Target) {
        guard target.volumes.count == 1, let volume = target.volumes.first else {
            return fail("volume not specified\n", code: 1)
        }
        let isPlain = !volume.isExplicit && !configuration.global.alwaysUsesVolumeNumberInUdev
        let name = isPlain ? target.resource.name : "\(target.resource.name)/\(volume.number)"
        print("RESOURCE=\(name)")
        print("DEVICE=\(withoutDev(volume.devicePath))")
        print("DISK=\(withoutDev(volume.disk))")
    }

    private func withoutDev(_ path: String) -> String {
        path.hasPrefix("/dev/") ? String(path.dropFirst(5)) : path
    }
}

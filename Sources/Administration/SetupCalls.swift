internal import Configuration

/// The lines of drbdsetup and drbdmeta, word by word as the 8.4 program writes them. Spec: drbd-config-and-tools 6.4,
/// 10.
struct SetupCalls {
    let configuration: ClusterConfiguration
    let facts: any AdministrationFacts
    /// What the command line hands on, at the end of the lines.
    let extra: [String]

    // MARK: drbdsetup

    func newResource(_ target: Target) -> [String] {
        ["new-resource", target.resource.name] + options(resourceOptions(target)) + extra
    }

    func newMinor(_ target: Target, _ volume: VolumeModel) -> [String] {
        ["new-minor", target.resource.name, "\(volume.minor)", "\(volume.number)"]
    }

    func attach(_ target: Target, _ volume: VolumeModel) -> [String] {
        [
            "attach", "\(volume.minor)", facts.resolvedPath(volume.disk), facts.resolvedPath(volume.metaDevice),
            volume.metaIndexText,
        ] + options(diskOptions(target, volume)) + extra
    }

    /// Nil if there is no other host.
    func connect(_ target: Target) -> [String]? {
        guard let peer = target.resource.peerHost else { return nil }
        return [
            "connect", target.resource.name, target.host.address.setupArgument, peer.address.setupArgument,
        ] + options(target.resource.effectiveOptions(.net)) + extra
    }

    /// The two addresses that name a connection; nil if there is no other host.
    func addresses(_ target: Target) -> [String]? {
        guard let peer = target.resource.peerHost else { return nil }
        return [target.host.address.setupArgument, peer.address.setupArgument]
    }

    /// `--size` for resize.
    func sizeOption(_ target: Target, _ volume: VolumeModel) -> [String] {
        options(target.resource.effectiveDiskOptions(volume).filter { $0.name == "size" })
    }

    /// A command on a minor.
    func minor(_ command: String, _ volume: VolumeModel) -> [String] {
        [command, "\(volume.minor)"] + extra
    }

    func waitConnect(_ target: Target, _ volume: VolumeModel) -> [String] {
        let startup = target.resource.effectiveOptions(.startup).filter {
            $0.name != "become-primary-on" && $0.name != "stacked-timeouts"
        }
        return ["wait-connect", "\(volume.minor)"] + options(startup) + extra
    }

    // MARK: drbdmeta

    func meta(_ volume: VolumeModel, _ command: [String]) -> [String] {
        let index: String
        switch volume.metaDisk {
        case .internal: index = "internal"
        case .flexible: index = "flex-external"
        case .indexed(_, let number): index = "\(number)"
        }
        return ["\(volume.minor)", "v08", facts.resolvedPath(volume.metaDevice), index] + command + extra
    }

    // MARK: Options

    func resourceOptions(_ target: Target) -> [OptionEntry] {
        target.resource.effectiveResourceOptions(of: target.host).filter(isForSetup)
    }

    /// The disk options of a volume, `resync-after` as the minor of the resource that it names.
    func diskOptions(_ target: Target, _ volume: VolumeModel) -> [OptionEntry] {
        target.resource.effectiveDiskOptions(volume).compactMap { entry in
            guard entry.name == "resync-after" else { return entry }
            guard let minor = minor(ofResyncAfter: entry.value) else { return nil }
            var converted = entry
            converted.value = "\(minor)"
            return converted
        }
    }

    /// `NAME` is the first volume of that resource, `NAME/NUMBER` the one with that number. Nil if it is not on this
    /// host.
    private func minor(ofResyncAfter value: String) -> Int? {
        if value == "-1" { return -1 }
        if let host = configuration.resource(named: value)?.ownHost { return host.volumes.first?.minor }
        guard let slash = value.lastIndex(of: "/"), let number = Int(value[value.index(after: slash)...]) else {
            return nil
        }
        let host = configuration.resource(named: String(value[..<slash]))?.ownHost
        return host?.volumes.first { $0.number == number }?.minor
    }

    func options(_ entries: [OptionEntry]) -> [String] {
        entries.filter(isForSetup).map { "--\($0.name)=\($0.value)" }
    }

    /// drbdsetup does not know what belongs to DRBD 9.
    private func isForSetup(_ entry: OptionEntry) -> Bool { entry.descriptor?.isFromNine != true }
}

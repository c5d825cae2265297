/// The checked configuration: old spellings are gone, defaults of `common` are merged on demand, every reference holds.
package struct ClusterConfiguration: Equatable, Sendable {
    /// The main file, absolute.
    package var path: String
    package var global: GlobalSettings
    package var hasGlobalSection: Bool
    /// The options of `common` as written; nil if there is no such section.
    package var common: [OptionEntry]?
    /// The node name that own host sections were looked up with.
    package var nodeName: String
    /// In the order of the text, those of other machines included.
    package var resources: [ResourceModel]

    /// The resources that have a host section for this machine.
    package var ownResources: [ResourceModel] { resources.filter { $0.ownHost != nil } }

    package func resource(named name: String) -> ResourceModel? { resources.first { $0.name == name } }
}

/// One resource with its one or two hosts.
package struct ResourceModel: Equatable, Sendable {
    package var name: String
    package var location: SourceLocation
    /// The path of its file, absolute.
    package var file: String
    package var hosts: [HostModel]
    /// Which of ``hosts`` is this machine; nil if none.
    package var ownHostIndex: Int?
    /// Options of the resource's own sections as written.
    package var options: [OptionEntry]
    /// What holds where the resource says nothing: `common`, or the template file.
    package var defaults: [OptionEntry]

    package var ownHost: HostModel? { ownHostIndex.map { hosts[$0] } }
    /// The other host; nil if this machine is none of them, or alone.
    package var peerHost: HostModel? {
        guard let own = ownHostIndex, hosts.count == 2 else { return nil }
        return hosts[1 - own]
    }

    /// The options that hold for the resource in one section.
    ///
    /// Order as the classic program hands them to drbdsetup: defaults that the resource does not set, from the last to
    /// the first, then its own. Spec: drbd-config-and-tools 4.2, 6.4.
    package func effectiveOptions(_ section: OptionSection) -> [OptionEntry] {
        let own = options.filter { $0.section == section }.lastOfEachName()
        let inherited = defaults.filter { $0.section == section }.lastOfEachName().filter { entry in
            !own.contains { $0.name == entry.name }
        }
        return inherited.reversed() + own
    }

    /// The same for the sections of one host, whose own `options` come first.
    package func effectiveResourceOptions(of host: HostModel) -> [OptionEntry] {
        let own = host.options.lastOfEachName()
        return effectiveOptions(.options).filter { entry in !own.contains { $0.name == entry.name } } + own
    }

    /// The disk options that hold for a volume of a host.
    ///
    /// What is said closest to the volume wins: in the volume of the host section, in the volume on resource level, in
    /// the resource, in `common`. Deviation: the 8.4 program lets the resource win over a volume on resource level,
    /// against its own documentation.
    package func effectiveDiskOptions(_ volume: VolumeModel) -> [OptionEntry] {
        let host = volume.diskOptions.lastOfEachName()
        let inherited = volume.inheritedDiskOptions.lastOfEachName().filter { entry in
            !host.contains { $0.name == entry.name }
        }
        let resource = effectiveOptions(.disk).filter { entry in
            !host.contains { $0.name == entry.name } && !inherited.contains { $0.name == entry.name }
        }
        return inherited.reversed() + resource.reversed() + host
    }

    /// The command of a handler; nil if none is configured.
    package func handler(_ name: String) -> String? {
        effectiveOptions(.handlers).last { $0.name == name }?.value
    }
}

/// One `on` or `floating` section with its volumes complete.
package struct HostModel: Equatable, Sendable {
    package var kind: HostSyntax.Kind
    /// The names of `on`; of a floating host the one that its address makes.
    package var names: [String]
    package var location: SourceLocation
    package var address: Endpoint
    package var alternateAddress: Endpoint?
    package var nodeID: Int?
    /// Sorted by number.
    package var volumes: [VolumeModel]
    /// The host's own `options { }`.
    package var options: [OptionEntry]

    /// As messages name it.
    package var title: String { names.joined(separator: " ") }
}

/// One volume on one host.
package struct VolumeModel: Equatable, Sendable {
    package var number: Int
    /// Written as `volume N { }`; else its items stand for volume 0.
    package var isExplicit: Bool
    /// `/dev/drbdN` or `/dev/drbd_NAME`; nil if only a minor is given.
    package var deviceName: String?
    package var minor: Int
    /// The lower device as written.
    package var disk: String
    package var metaDisk: MetaDisk
    /// Disk options inside the host section.
    package var diskOptions: [OptionEntry]
    /// Disk options of the volume on resource level, or of the connection (DRBD 9).
    package var inheritedDiskOptions: [OptionEntry]

    /// The device node.
    package var devicePath: String { deviceName ?? "/dev/drbd\(minor)" }
    /// Where the meta data is: the lower device itself, or one of its own.
    package var metaDevice: String {
        switch metaDisk {
        case .internal: disk
        case .flexible(let path), .indexed(let path, _): path
        }
    }

    /// `internal`, `flexible` or the index, as drbdsetup's attach takes it.
    package var metaIndexText: String {
        switch metaDisk {
        case .internal: "internal"
        case .flexible: "flexible"
        case .indexed(_, let index): "\(index)"
        }
    }
}

extension [OptionEntry] {
    /// Every name once, with its last value, where that stands.
    func lastOfEachName() -> [OptionEntry] {
        indices.filter { index in !self[(index + 1)...].contains { $0.name == self[index].name } }.map { self[$0] }
    }
}

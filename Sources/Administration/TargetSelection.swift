internal import Configuration

/// A resource with the volumes that a command works on.
struct Target: Equatable {
    var resource: ResourceModel
    var host: HostModel
    var volumes: [VolumeModel]
    /// A volume was named, by `R/V` or `minor-N`.
    var namesVolume: Bool

    /// `web`, or `db/1` for one of several.
    var title: String {
        namesVolume && host.volumes.count > 1 ? "\(resource.name)/\(volumes.first?.number ?? 0)" : resource.name
    }
}

/// The resources that a command line names. Spec: drbd-config-and-tools 4.14, 10.
enum TargetSelection {
    /// The target, or nil for a name that this host does not have.
    static func find(_ name: String, in configuration: ClusterConfiguration) -> Target? {
        for resource in configuration.resources {
            guard let host = resource.ownHost else { continue }
            if resource.name == name {
                return Target(resource: resource, host: host, volumes: host.volumes, namesVolume: false)
            }
            for volume in host.volumes
            where name == "\(resource.name)/\(volume.number)" || name == "minor-\(volume.minor)" {
                return Target(resource: resource, host: host, volumes: [volume], namesVolume: true)
            }
        }
        return nil
    }

    static func all(in configuration: ClusterConfiguration) -> [Target] {
        configuration.resources.compactMap { resource in
            resource.ownHost.map { Target(resource: resource, host: $0, volumes: $0.volumes, namesVolume: false) }
        }
    }
}

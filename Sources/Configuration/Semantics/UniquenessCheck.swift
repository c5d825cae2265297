/// What may be used once only in the whole configuration. Spec: drbd-config-and-tools 4.4.
///
/// Deviation: the 8.4 program misses a lower device that two resources share when their meta data is internal, and one
/// that is meta-data device elsewhere; both destroy data, so both are conflicts here.
struct UniquenessCheck {
    private var uses: [String: SourceLocation] = [:]
    private(set) var diagnostics: [Diagnostic] = []

    mutating func check(_ resources: [ResourceModel]) {
        for resource in resources {
            for host in resource.hosts { check(host) }
        }
    }

    private mutating func check(_ host: HostModel) {
        for name in host.names {
            for volume in host.volumes {
                claim("device-minor", "device-minor:\(name):\(volume.minor)", at: host.location)
                if let device = volume.deviceName {
                    claim("device", "device:\(name):\(device)", at: host.location)
                }
                claimDisks(of: volume, host: name, at: host.location)
            }
        }
        let isLoopback = host.address.ipAddress?.isLoopback ?? false
        let key = host.address.addressAndPort
        claim("IP", key, scope: isLoopback ? host.title : "", at: host.location)
    }

    private mutating func claimDisks(of volume: VolumeModel, host: String, at location: SourceLocation) {
        claim("disk", "disk:\(host):\(volume.disk)", at: location)
        switch volume.metaDisk {
        case .internal: break
        case .flexible(let path):
            claim("disk", "disk:\(host):\(path)", at: location)
        case .indexed(let path, let index):
            claim("meta-disk", "\(host):\(path)[\(index)]", at: location)
        }
    }

    private mutating func claim(_ what: String, _ key: String, scope: String = "", at location: SourceLocation) {
        let entry = scope + "\u{0}" + key
        if let first = uses[entry] {
            diagnostics.append(.conflict(what, key, at: location, first: first))
        } else {
            uses[entry] = location
        }
    }
}

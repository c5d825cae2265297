package import Configuration

/// The environment that admins' handler scripts expect. Spec: drbd-disk-and-state 17.
package enum HandlerEnvironment {
    /// The variables for a handler of a resource, or of one of its volumes.
    ///
    /// The peer's address is the configured one; who knows the running connection knows better. `PATH` and the like
    /// are the caller's. `resolvedDisk` is the lower device as it is opened, if that is another path than configured.
    package static func variables(
        resource: ResourceModel, volume: VolumeModel?, configurationPath: String, resolvedDisk: String?
    ) -> [EnvironmentVariable] {
        var result = [
            EnvironmentVariable("DRBD_CONF", configurationPath),
            EnvironmentVariable("DRBD_DONT_WARN_ON_VERSION_MISMATCH", "1"),
            EnvironmentVariable("DRBD_RESOURCE", resource.name),
        ]
        let volumes = volume.map { [$0] } ?? resource.ownHost?.volumes ?? []
        result.append(
            EnvironmentVariable("DRBD_MINOR", volumes.map { "\($0.minor)" }.joined(separator: " ")))
        if let volume {
            result.append(EnvironmentVariable("DRBD_VOLUME", "\(volume.number)"))
            result.append(EnvironmentVariable("DRBD_LL_DISK", resolvedDisk ?? volume.disk))
        }
        if let peer = resource.peerHost {
            // DRBD_PEER is the deprecated name of the same.
            result.append(EnvironmentVariable("DRBD_PEER", peer.title))
            result.append(EnvironmentVariable("DRBD_PEERS", peer.title))
            result.append(EnvironmentVariable("DRBD_PEER_AF", peer.address.family.rawValue))
            result.append(EnvironmentVariable("DRBD_PEER_ADDRESS", peer.address.address))
        }
        return result
    }
}

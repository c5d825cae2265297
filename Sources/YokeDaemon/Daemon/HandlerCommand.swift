internal import Administration
internal import Configuration
internal import YokeControl

/// The environment of handlers. Spec: drbd-disk-and-state 17.
enum HandlerCommand {
    static func environment(
        model: ResourceModel, volume: Int?, path: String, peer: PeerFacts, paths: InstallationPaths
    ) -> [String] {
        let volumeModel = volume.flatMap { number in model.ownHost?.volumes.first { $0.number == number } }
        var variables = HandlerEnvironment.variables(
            resource: model, volume: volumeModel, configurationPath: path,
            resolvedDisk: volumeModel.map { paths.resolveDevice($0.disk) })
        // What is really connected counts, not what the file says now.
        variables.removeAll { $0.name == "DRBD_PEER_AF" || $0.name == "DRBD_PEER_ADDRESS" || $0.name == "DRBD_MINOR" }
        var environment = [
            "HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin:/lib/drbd",
            "DRBD_PEER_AF=\(peer.family)", "DRBD_PEER_ADDRESS=\(peer.address)",
        ]
        let minors = peer.minor.map { "\($0)" } ?? peer.minors.map { "\($0)" }.joined(separator: " ")
        environment.append("DRBD_MINOR=\(minors)")
        environment += variables.map { "\($0.name)=\($0.value)" }
        return environment
    }
}

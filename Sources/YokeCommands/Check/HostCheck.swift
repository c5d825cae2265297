internal import Configuration
internal import FoundationEssentials
internal import Glibc
internal import MetadataTools
internal import YokeControl

/// What a good configuration still needs: disks that are there, a daemon that has it up, a mount point, and a peer that
/// can be reached. Looks only.
struct HostCheck {
    struct Finding: Equatable {
        var severity: Diagnostic.Severity
        /// What, and in the next line how it is mended.
        var text: String

        init(_ severity: Diagnostic.Severity, _ text: String, hint: String) {
            self.severity = severity
            self.text = text + "\n\thint: " + hint
        }
    }

    /// What is read of `yoke status --json`.
    private struct Status: Decodable {
        struct Resource: Decodable {
            var name: String
            var connection: String
            var volumes: [Volume]
        }

        struct Volume: Decodable {
            var disk: String
        }

        var resources: [Resource]
    }

    let call: DaemonCall
    let resources: [ResourceModel]

    /// Nil when no daemon runs: then the configuration may be on its way, and its disks not made yet.
    func findings() -> [Finding]? {
        guard let status = runningStatus() else { return nil }
        var findings: [Finding] = []
        for resource in resources {
            let running = status.resources.first { $0.name == resource.name }
            findings += disks(of: resource, isAttached: running?.volumes.contains { $0.disk != "Diskless" } ?? false)
            if running == nil {
                findings.append(
                    Finding(
                        .warning, "\(resource.name) is not up in the running yoked",
                        hint: "yoke drbdadm up \(resource.name)"))
            }
            if !Self.isConnected(running?.connection) { findings += way(to: resource, isUp: running != nil) }
        }
        return findings + mounts()
    }

    private func runningStatus() -> Status? {
        guard let (_, text) = call.capture(["status", "--json"]) else { return nil }
        return try? JSONDecoder().decode(Status.self, from: Data(text.utf8))
    }

    private static func isConnected(_ state: String?) -> Bool {
        guard let state else { return false }
        let without = [
            "StandAlone", "Disconnecting", "Unconnected", "Timeout", "BrokenPipe", "NetworkFailure", "ProtocolError",
            "TearDown", "WFConnection", "WFReportParams",
        ]
        return !without.contains(state)
    }

    // MARK: Disks

    private func disks(of resource: ResourceModel, isAttached: Bool) -> [Finding] {
        guard !isAttached else { return [] }
        return (resource.ownHost?.volumes ?? []).compactMap { volume in
            let path = call.paths.resolveDevice(volume.disk)
            var facts = stat()
            guard stat(path, &facts) == 0 else {
                return Finding(
                    .error,
                    "\(resource.name): the disk \(volume.disk) is not there: \(String(cString: strerror(errno)))",
                    hint: "make it (a file: truncate -s SIZE \(volume.disk)), or correct the line in \(resource.file)")
            }
            let kind = facts.st_mode & Glibc.S_IFMT
            guard kind == Glibc.S_IFBLK || kind == Glibc.S_IFREG else {
                return Finding(
                    .error, "\(resource.name): the disk \(volume.disk) is neither a block device nor a file",
                    hint: "correct the line in \(resource.file)")
            }
            return hasMetadata(volume)
                ? nil
                : Finding(
                    .warning, "\(resource.name): the disk \(volume.disk) holds no metadata of the replication",
                    hint: "if it is new: yoke drbdadm create-md \(resource.name)")
        }
    }

    private func hasMetadata(_ volume: VolumeModel) -> Bool {
        let tool = ClassicTools.metadataTool(call, console: SilentConsole())
        return tool.run(["\(volume.minor)", "v08", volume.metaDevice, volume.metaIndexText, "get-gi"]) == 0
    }

    // MARK: The other host

    /// Only while there is no connection: a stranger's connection is a disturbance.
    private func way(to resource: ResourceModel, isUp: Bool) -> [Finding] {
        guard let own = resource.ownHost, let peer = resource.peerHost else { return [] }
        let place = "\(peer.title) at \(peer.address.addressAndPort)"
        switch PeerPort.knock(peer.address.address, port: peer.address.port, from: own.address.address) {
        case .listens where isUp:
            return [
                Finding(
                    .warning, "\(resource.name): \(place) listens, but the replication is not connected",
                    hint: "the log of either yoked says why: another shared-secret, a split brain, other options")
            ]
        case .listens, .unknown: return []
        case .refused:
            return [
                Finding(
                    .warning, "\(resource.name): nobody listens on \(place)",
                    hint: "is yoked (or DRBD) up there, with the same configuration?")
            ]
        case .silent(let reason):
            return [
                Finding(
                    .warning, "\(resource.name): \(place) cannot be reached from \(own.address.address): \(reason)",
                    hint: "is the host up, its address right, the cable in, and port \(peer.address.port) open in the "
                        + "firewalls?")
            ]
        }
    }

    // MARK: Mounts

    /// The lines of fstab that the daemon keeps.
    private func mounts() -> [Finding] {
        let path = call.paths.path("/etc/fstab")
        let text = (try? FileConfigurationSource().read(path)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        var findings: [Finding] = []
        for line in text.split(separator: "\n") {
            let fields = line.split { $0 == " " || $0 == "\t" }.map(String.init)
            guard fields.count >= 4, !fields[0].hasPrefix("#"), fields[2] == "ocfs2",
                fields[3].split(separator: ",").contains("x-yoke.auto")
            else { continue }
            findings += mount(source: fields[0], directory: fields[1])
        }
        return findings
    }

    private func mount(source: String, directory: String) -> [Finding] {
        var findings: [Finding] = []
        let resource = resources.first { resource in
            resource.name == source || resource.ownHost?.volumes.contains { $0.devicePath == source } ?? false
        }
        if resource == nil, source.hasPrefix("/dev/drbd") {
            findings.append(
                Finding(
                    .error, "fstab: \(source) on \(directory): no resource of this host has this device",
                    hint: "correct the line, or the device of the resource"))
        }
        if let resource, resource.peerHost != nil,
            !resource.effectiveOptions(.net).contains(where: { $0.name == "allow-two-primaries" && $0.value != "no" })
        {
            findings.append(
                Finding(
                    .warning, "fstab: \(source) on \(directory): \(resource.name) may be Primary on one host only",
                    hint: "to have it mounted on both: allow-two-primaries; in the net section of \(resource.file)"))
        }
        if access(call.paths.path(directory), F_OK) != 0 {
            findings.append(
                Finding(
                    .error, "fstab: \(source) on \(directory): there is no such directory", hint: "mkdir \(directory)"))
        }
        return findings
    }
}

internal import Configuration
internal import Glibc
internal import LinuxReactor
internal import Pairing
internal import YokeControl

/// A refusal that the admin can overrule: the device holds something.
struct NeedsConfirmation: Error {
    var device: String
    var holds: String

    /// Exit status of `yoke init` and `yoke join`, so that the command can ask.
    static let exitStatus: Int32 = 3

    var text: String {
        "\(device) holds \(holds); all of it would be lost. If that is right, say so: --overwrite"
    }
}

/// Why a survey ends early.
enum SurveyFailure: Error {
    case refused(PairingRefusal)
    case needsConfirmation(NeedsConfirmation)

    init(_ text: String) {
        self = .refused(PairingRefusal(text))
    }

    var text: String {
        switch self {
        case .refused(let refusal): refusal.text
        case .needsConfirmation(let question): question.text
        }
    }

    var exitStatus: Int32 {
        switch self {
        case .refused: 1
        case .needsConfirmation: NeedsConfirmation.exitStatus
        }
    }
}

// What this host can give to a pair, and everything that speaks against it. Nothing is changed.
extension Daemon {
    /// The main file of the configuration, where it is or would be.
    var mainConfiguration: String {
        let candidates = ConfigurationLoader.searchPaths.map { paths.path($0) }
        return candidates.first { access($0, F_OK) == 0 } ?? paths.path(PairFiles.mainFile)
    }

    /// - Parameter port: for replication, if one was asked for.
    func survey(
        _ resource: String, address: String, disk: InitRequest.DiskWish, port: Int? = nil
    ) async throws(SurveyFailure) -> HostSurvey {
        let identity = identity
        if let problem = PlainText.problem(ofNode: identity.nodeName) { throw SurveyFailure(problem) }
        guard identity.addressTexts.contains(address) else {
            throw SurveyFailure(
                "\(address) is no address of this host; it has: \(identity.addressTexts.joined(separator: ", "))")
        }
        let configuration = try usableConfiguration()
        if !HostFindings.isFree(ClusterNode.defaultPort, on: address), mounts.all.isEmpty {
            throw SurveyFailure(
                "port \(ClusterNode.defaultPort) of \(address) is in use by another program (the kernel's O2CB?): the "
                    + "cluster needs it")
        }
        let given = try await giveDisk(disk, resource)
        var survey = HostSurvey(
            release: YokeVersion.text, resource: resource, node: identity.nodeName, address: address, disk: given)
        let configured = configuration?.resources ?? []
        survey.resources =
            configured.map(\.name) + registry.resources.map(\.name) + HostFindings.kernelResources()
        if access(paths.path(PairFiles.resourceFile(resource)), F_OK) == 0 { survey.resources.append(resource) }
        let own = configured.compactMap(\.ownHost)
        survey.minors =
            own.flatMap { $0.volumes.map(\.minor) } + HostFindings.kernelMinors()
            + registry.resources.flatMap { registry.minors(of: $0).map(\.minor) }
        survey.ports = own.map(\.address.port) + (await Self.blocking { HostFindings.busyPorts(address, also: port) })
        survey.clusterText = HostFindings.text(of: paths.path(ClusterFile.path)).flatMap { text in
            text.contains { !$0.isWhitespace } ? text : nil
        }
        survey.registeredCluster = membership.registration?.cluster.name
        let settings = ServiceSettings.load(root: paths.root, source: FileConfigurationSource())
        if !settings.saysNothingOfTimers { survey.timers = PairTimers(settings.timers) }
        guard !survey.resources.contains(resource) else {
            throw SurveyFailure(
                "there is a resource \(resource) already: choose another name, or yoke status \(resource)")
        }
        return survey
    }

    /// Nil where there is none yet. One with errors cannot be added to.
    private func usableConfiguration() throws(SurveyFailure) -> ClusterConfiguration? {
        guard access(mainConfiguration, F_OK) == 0 else { return nil }
        let loaded = loadConfiguration()
        guard let configuration = loaded.configuration else {
            let first = loaded.errors.first?.text ?? ""
            throw SurveyFailure("the configuration of this host has errors: correct them first (yoke check)\n\(first)")
        }
        return configuration
    }

    private func giveDisk(_ wish: InitRequest.DiskWish, _ resource: String) async throws(SurveyFailure) -> PairDisk {
        guard let device = wish.device else {
            let path = PairFiles.image(resource)
            guard access(paths.path(path), F_OK) != 0 else {
                throw SurveyFailure(
                    "\(path) is there already: remove it if nothing of it is wanted, or use it: --disk \(path)")
            }
            let free = HostFindings.freeBytes(in: paths.stateDirectory)
            return PairDisk(path: path, isNewFile: true, byteCount: free, isSparse: wish.isSparse)
        }
        let path = paths.resolveDevice(device)
        switch await Self.blocking({ HostFindings.device(path) }) {
        case .usable(let count): return PairDisk(path: device, isNewFile: false, byteCount: count)
        case .holds(let what) where !wish.mayOverwrite:
            throw .needsConfirmation(NeedsConfirmation(device: device, holds: what))
        case .holds:
            let capacity = await Self.blocking {
                (try? DiskFile.open(path: path, access: .readOnly, claim: .none))?.capacity
            }
            return PairDisk(path: device, isNewFile: false, byteCount: capacity ?? 0)
        case .refused(let reason): throw SurveyFailure(reason)
        }
    }

    /// What speaks against a mount point; nil if nothing.
    func problem(ofMountPoint directory: String) async -> String? {
        let (path, fstab) = (paths.path(directory), paths.path(PairFiles.fstab))
        return await Self.blocking {
            HostFindings.problem(ofMountPoint: directory, path: path, fstab: HostFindings.text(of: fstab))
        }
    }
}

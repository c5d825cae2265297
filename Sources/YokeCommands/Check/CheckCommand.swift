internal import ArgumentParser
internal import Configuration
internal import YokeControl

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what is wrong with the configuration, and how to mend it.",
        discussion: """
            While yoked runs, also with the disks, the mounts of fstab and the way to the other host. Exit status: 0
            good, else that of the first error. With -c only that file is read.
            """)

    @OptionGroup var place: Place
    @Option(name: .shortAndLong, help: "Another file than the usual one.") var configuration: String?

    func run() throws {
        let call = place.call
        let paths = call.paths
        let source = FileConfigurationSource()
        let identity = HostIdentity.current(
            nodeOverride: call.node, environment: [:], source: source, root: paths.root)
        let loaded = ConfigurationLoader.load(
            path: configuration, source: source, identity: identity, root: paths.root)
        var diagnostics = loaded.diagnostics
        if let own = loaded.configuration?.ownResources { diagnostics += loaded.foreignAddresses(of: own) }
        for diagnostic in diagnostics { print(diagnostic.severity, diagnostic.text) }
        var exitCodes = diagnostics.filter { $0.severity == .error }.map(\.exitCode)
        if configuration == nil {
            var found = ClusterCheck.diagnostics(root: paths.root, hostName: identity.nodeName, source: source)
            if let model = loaded.configuration {
                found += SharedVolumeCheck.diagnostics(model, root: paths.root, source: source)
            }
            for diagnostic in found { print(diagnostic.severity, diagnostic.shortText) }
            exitCodes += found.filter { $0.severity == .error }.map(\.exitCode)
        }
        guard exitCodes.isEmpty, let model = loaded.configuration else { throw ExitCode(exitCodes.first ?? 10) }
        if configuration == nil {
            try checkHost(call, model)
        }
        let names = model.ownResources.map(\.name)
        StandardStreams.output(
            names.isEmpty
                ? "\(loaded.path): good, but no resource for this host (\(identity.triedText))\n"
                : "\(loaded.path): good; resources of this host: \(names.joined(separator: ", "))\n")
    }

    private func checkHost(_ call: DaemonCall, _ model: ClusterConfiguration) throws {
        guard let findings = HostCheck(call: call, resources: model.ownResources).findings() else {
            StandardStreams.error("yoked does not run under \(call.paths.root): only the files were checked\n")
            return
        }
        for finding in findings { print(finding.severity, finding.text) }
        if findings.contains(where: { $0.severity == .error }) { throw ExitCode(1) }
    }

    private func print(_ severity: Diagnostic.Severity, _ text: String) {
        StandardStreams.output("\(severity == .error ? "error" : "warning"): \(text)\n")
    }
}

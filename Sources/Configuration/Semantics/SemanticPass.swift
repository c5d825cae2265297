/// Turns the syntax tree into the checked model, and says everything that is wrong with it. Spec: drbd-config-and-tools
/// 4, 6, 7.
///
/// Errors are collected: one run names them all.
struct SemanticPass {
    let identity: HostIdentity
    let source: any ConfigurationSource
    let root: String
    private(set) var diagnostics: [Diagnostic] = []
    private var common: [OptionEntry] = []

    init(identity: HostIdentity, source: any ConfigurationSource, root: String) {
        self.identity = identity
        self.source = source
        self.root = root
    }

    /// The model, without the resources that have errors.
    mutating func run(_ tree: SyntaxTree, mainFile: String) -> ClusterConfiguration {
        var configuration = ClusterConfiguration(
            path: absolute(mainFile), global: GlobalSettings(), hasGlobalSection: false, common: nil,
            nodeName: identity.nodeName, resources: [])
        for item in tree.items {
            switch item {
            case .global(let global):
                configuration.global = global.settings
                configuration.hasGlobalSection = true
            case .common(let syntax): configuration.common = syntax.options
            case .resource: break
            }
        }
        common = (configuration.common ?? []).map { $0.with(origin: .common) }
        for item in tree.items {
            guard case .resource(let syntax) = item, let resource = resource(syntax) else { continue }
            configuration.resources.append(resource)
        }
        var uniqueness = UniquenessCheck()
        uniqueness.check(configuration.resources)
        diagnostics += uniqueness.diagnostics
        checkResyncAfter(in: &configuration)
        for resource in configuration.resources { checkPrimaries(of: resource) }
        return configuration
    }

    private func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : source.realPath(path)
    }

    private mutating func report(
        _ kind: Diagnostic.Kind, _ lines: [String], at location: SourceLocation, hints: [String] = []
    ) {
        diagnostics.append(Diagnostic(.error, kind, lines, at: location, hints: hints))
    }

    private mutating func warn(
        _ kind: Diagnostic.Kind, _ lines: [String], at location: SourceLocation, hints: [String] = []
    ) {
        diagnostics.append(Diagnostic(.warning, kind, lines, at: location, hints: hints))
    }

    // MARK: Resources

    private mutating func resource(_ syntax: ResourceSyntax) -> ResourceModel? {
        guard isServed(syntax) else { return nil }
        var hosts = syntax.hosts
        applyConnections(of: syntax, to: &hosts)
        let models = hosts.map { host($0, of: syntax) }
        checkVolumeNumbers(models.compactMap { $0 }, of: syntax)
        guard !models.contains(where: { $0 == nil }) else { return nil }
        var resource = ResourceModel(
            name: syntax.name, location: syntax.location, file: absolute(syntax.location.file),
            hosts: models.compactMap { $0 }, ownHostIndex: nil, options: syntax.options,
            defaults: defaults(of: syntax))
        findOwnHost(of: &resource)
        return resource
    }

    /// What is refused as a whole: stacked resources, and more than two hosts.
    private mutating func isServed(_ syntax: ResourceSyntax) -> Bool {
        let start = syntax.location
        if let stacked = syntax.stackedOn.first {
            report(
                .stackedResource,
                [
                    "\(stacked.location.fileAndLine): in resource \(syntax.name):",
                    "\t'stacked-on-top-of \(stacked.value)' is not supported",
                ], at: stacked.location,
                hints: ["a resource lies on disks of two hosts; remove the stacked resource"])
            return false
        }
        if syntax.hosts.count > 2 {
            let names = syntax.hosts.map(\.title).joined(separator: ", ")
            report(
                .tooManyHosts,
                [
                    "\(syntax.hosts[2].location.fileAndLine): in resource \(syntax.name):",
                    "\tthere are \(syntax.hosts.count) host sections (\(names)), but a resource has two hosts at most",
                ], at: syntax.hosts[2].location,
                hints: ["remove the third host section; more than two hosts are not supported"])
            return false
        }
        for connection in syntax.connections where connection.hosts.count > 2 {
            let lines =
                connection.isMesh
                ? ["in resource \(syntax.name): a mesh of \(connection.hosts.count) hosts is not supported"]
                : ["only two 'host' keywords per connection allowed"]
            report(
                .tooManyHosts, ["\(connection.location.fileAndLine): " + lines[0]], at: connection.location,
                hints: ["a resource has two hosts at most"])
            return false
        }
        if syntax.hosts.isEmpty {
            warn(
                .missingKeyword, ["\(start.fileAndLine): in resource \(syntax.name): there is no host section"],
                at: start, hints: ["add 'on NAME { ... }' for both hosts"])
        }
        return true
    }

    /// Takes over addresses that DRBD 9 writes into `connection` and `path`.
    private mutating func applyConnections(of syntax: ResourceSyntax, to hosts: inout [HostSyntax]) {
        if syntax.connections.count > 1 {
            report(
                .conflict,
                [
                    "\(syntax.connections[1].location.fileAndLine): in resource \(syntax.name): "
                        + "two hosts have one connection, but there are \(syntax.connections.count)"
                ], at: syntax.connections[1].location, hints: ["join the connection sections"])
        }
        guard let connection = syntax.connections.first else { return }
        if connection.paths.count > 1 {
            warn(
                .notServed,
                [
                    "\(connection.location.fileAndLine): WARN: several 'path' sections are understood but not "
                        + "served yet: the first one is used"
                ], at: connection.location)
        }
        for end in connection.hosts + (connection.paths.first ?? []) {
            guard let index = hosts.firstIndex(where: { $0.names.contains { $0.value == end.name.value } }) else {
                report(
                    .missingKeyword,
                    [
                        "\(end.name.location.fileAndLine): in resource \(syntax.name): "
                            + "there is no section 'on \(end.name.value)'"
                    ], at: end.name.location)
                continue
            }
            if let address = end.address { hosts[index].address = address }
            if let port = end.port { hosts[index].address?.value.port = port.value }
        }
    }

    private mutating func defaults(of syntax: ResourceSyntax) -> [OptionEntry] {
        guard let template = syntax.templateFile else { return common }
        var path = template.value
        if !path.hasPrefix("/"), let slash = template.location.file.lastIndex(of: "/") {
            path = String(template.location.file[...slash]) + path
        }
        path = resolvedPath(path, root: root, source: source)
        do throws(SourceError) {
            let bytes = try source.read(path)
            let (items, problems) = ConfigurationParser.parseTemplate(
                bytes: bytes, fileName: path, source: source, root: root)
            diagnostics += problems
            return items.options.map { $0.with(origin: .common) }
        } catch {
            report(
                .includeFailed,
                ["\(template.location.fileAndLine): Failed to open template file '\(template.value)'."],
                at: template.location, hints: [error.reason])
            return []
        }
    }

    // MARK: Hosts and volumes

    private mutating func host(_ syntax: HostSyntax, of resource: ResourceSyntax) -> HostModel? {
        let prefix = "\(syntax.location.fileAndLine): in resource \(resource.name), on \(syntax.title) { ... }: "
        if syntax.address == nil {
            report(
                .missingKeyword, [prefix + "'address' keyword missing."], at: syntax.location,
                hints: ["add 'address IP:PORT;' to the section, the port free on that host (7788 and up are usual)"])
        }
        guard let numbers = volumeNumbers(syntax, of: resource) else { return nil }
        if numbers.isEmpty {
            warn(
                .noVolume, ["\(syntax.location.fileAndLine): in resource \(resource.name): there is no volume"],
                at: syntax.location, hints: ["add 'device', 'disk' and 'meta-disk'"])
        }
        let volumes = numbers.map { volume($0, syntax, of: resource, prefix: prefix) }
        guard let address = syntax.address, address.value.port > 0, !volumes.contains(where: { $0 == nil }) else {
            return nil
        }
        return HostModel(
            kind: syntax.kind, names: syntax.names.map(\.value), location: syntax.location, address: address.value,
            alternateAddress: syntax.alternateAddress?.value, nodeID: syntax.nodeID?.value,
            volumes: volumes.compactMap { $0 }, options: syntax.options.map { $0.with(origin: .host) })
    }

    /// The volumes of a host; nil after noting that explicit and implicit ones are mixed.
    private mutating func volumeNumbers(_ host: HostSyntax, of resource: ResourceSyntax) -> [Int]? {
        let explicit = Set(host.volumes.map(\.number) + resource.volumes.map(\.number))
        let implicit = host.implicitVolume ?? resource.implicitVolume
        guard let implicit else { return explicit.sorted() }
        guard explicit.isEmpty else {
            report(
                .mixedVolumes,
                [
                    "\(implicit.location.fileAndLine): mixing explicit and implicit volumes is not allowed",
                    "\(resource.location.fileAndLine): in resource \(resource.name): "
                        + "you must not mix implicit and explicit volumes",
                ], at: implicit.location, hints: ["put the items into a 'volume 0 { ... }'"])
            return nil
        }
        return [0]
    }

    private mutating func volume(
        _ number: Int, _ host: HostSyntax, of resource: ResourceSyntax, prefix: String
    ) -> VolumeModel? {
        let own = host.volumes.first { $0.number == number } ?? host.implicitVolume
        let outer = resource.volumes.first { $0.number == number } ?? resource.implicitVolume
        let device = own?.device ?? outer?.device
        let disk = own?.disk ?? outer?.disk
        let metaDisk = own?.metaDisk ?? outer?.metaDisk
        let missing = [("device", device == nil), ("disk", disk == nil), ("meta-disk", metaDisk == nil)]
        for (keyword, isMissing) in missing where isMissing {
            report(
                .missingKeyword, [prefix + "'\(keyword)' keyword missing."], at: host.location,
                hints: [Self.example(of: keyword)])
        }
        guard let device, let disk, let metaDisk else { return nil }
        switch DeviceName.resolve(device) {
        case .failure(let problem):
            diagnostics += problem.diagnostics
            return nil
        case .success((let name, let minor)):
            let connection = resource.connectionVolumes.filter { $0.number == number }.flatMap(\.diskOptions)
            return VolumeModel(
                number: number, isExplicit: host.implicitVolume == nil && resource.implicitVolume == nil,
                deviceName: name, minor: minor, disk: disk.value, metaDisk: metaDisk.value,
                diskOptions: (own?.diskOptions ?? []).map { $0.with(origin: .host) },
                inheritedDiskOptions: ((outer?.diskOptions ?? []) + connection).map { $0.with(origin: .volume) })
        }
    }

    private static func example(of keyword: String) -> String {
        switch keyword {
        case "device": "add 'device /dev/drbdN;' to the host section or to the resource"
        case "disk": "add 'disk /dev/...;' to the host section or to the resource"
        default: "add 'meta-disk internal;' to the host section or to the resource"
        }
    }

    private mutating func checkVolumeNumbers(_ hosts: [HostModel], of resource: ResourceSyntax) {
        guard hosts.count == 2 else { return }
        let numbers = hosts.map { $0.volumes.map(\.number) }
        let prefix =
            "\(hosts[0].location.fileAndLine): in resource \(resource.name), on \(hosts[0].title) { ... }: "
        for number in numbers[0] where !numbers[1].contains(number) {
            report(
                .volumeMismatch, [prefix + "volume \(number) not defined on \(hosts[1].title)"],
                at: hosts[0].location, hints: ["both hosts have the same volumes"])
        }
        for number in numbers[1] where !numbers[0].contains(number) {
            report(
                .volumeMismatch, [prefix + "volume \(number) missing (present on \(hosts[1].title))"],
                at: hosts[0].location, hints: ["both hosts have the same volumes"])
        }
    }

    // MARK: This machine

    private mutating func findOwnHost(of resource: inout ResourceModel) {
        let matches = resource.hosts.map { host -> HostIdentity.Match in
            if host.kind == .floating { return identity.match(floating: host.address) }
            let all = host.names.map { identity.match(name: $0) }
            return all.contains(.exact) ? .exact : all.contains(.alias) ? .alias : .none
        }
        for level in [HostIdentity.Match.exact, .alias] {
            let found = matches.indices.filter { matches[$0] == level }
            if found.count > 1 { return reportSeveralOwn(resource) }
            if let index = found.first {
                resource.ownHostIndex = index
                return
            }
        }
        guard !resource.hosts.isEmpty else { return }
        let sections = resource.hosts.map { "'\($0.title)'" }.joined(separator: ", ")
        warn(
            .noOwnHost,
            [
                "\(resource.location.fileAndLine): WARN: in resource \(resource.name): "
                    + "no host section matches this machine",
                "\tsections: \(sections)",
                "\ttried: \(identity.triedText)",
            ], at: resource.location,
            hints: ["name a section 'on \(identity.nodeName)', or say who this machine is with --node NAME"])
    }

    private mutating func reportSeveralOwn(_ resource: ResourceModel) {
        let sections = resource.hosts.map { "on \($0.title) { ... }" }.joined(separator: " ... ")
        report(
            .multipleOwnHosts,
            [
                "\(resource.location.fileAndLine): in resource \(resource.name), \(sections):",
                "\tThere are multiple host sections for this node.",
            ], at: resource.location, hints: ["choose one with --node NAME (of a floating host: ADDRESS:PORT)"])
    }

    // MARK: References

    /// `resync-after` must name a resource of this configuration; else it is dropped, as the 8.4 program does.
    private mutating func checkResyncAfter(in configuration: inout ClusterConfiguration) {
        let names = Set(configuration.resources.map(\.name))
        for index in configuration.resources.indices {
            let resource = configuration.resources[index]
            let unknown = (resource.options + resource.defaults).filter { entry in
                entry.name == "resync-after" && entry.value != "-1"
                    && !names.contains(String(entry.value.prefix { $0 != "/" })) && !names.contains(entry.value)
            }
            for entry in unknown {
                warn(
                    .unknownResyncAfter,
                    [
                        "\(resource.location.fileAndLine): in resource \(resource.name):",
                        "\tresource '\(entry.value)' mentioned in 'resync-after' option is not known.",
                    ], at: entry.location, hints: ["the option is ignored; name another resource of this file"])
            }
            configuration.resources[index].options.removeAll { unknown.contains($0) }
            configuration.resources[index].defaults.removeAll { unknown.contains($0) }
        }
    }

    /// Deviation: the 8.4 program refuses every command; here the first promotion on the second host fails instead, so
    /// a warning with the way out is enough.
    private mutating func checkPrimaries(of resource: ResourceModel) {
        let startup = OptionValues(.startup, resource.effectiveOptions(.startup))
        let net = OptionValues(.net, resource.effectiveOptions(.net))
        let names = startup.names("become-primary-on")
        let isBoth =
            names.contains("both")
            || resource.hosts.count == 2
                && resource.hosts.allSatisfy { host in names.contains { host.names.contains($0) } }
        guard isBoth, !net.flag("allow-two-primaries") else { return }
        let entry = resource.effectiveOptions(.startup).first { $0.name == "become-primary-on" }
        warn(
            .becomePrimaryWithoutTwoPrimaries,
            [
                "\(resource.location.fileAndLine): in resource \(resource.name):",
                "\tbecome-primary-on is set to both, but allow-two-primaries is not set.",
            ], at: entry?.location ?? resource.location,
            hints: ["add 'net { allow-two-primaries; }', or name one host only"])
    }
}

extension OptionEntry {
    func with(origin: OptionOrigin) -> OptionEntry {
        var copy = self
        copy.origin = origin
        return copy
    }
}

/// A configuration as it was read: the model if it is good, and all that is to be said about it.
package struct LoadedConfiguration: Equatable, Sendable {
    /// The main file as given or found.
    package var path: String
    /// Nil if there are errors.
    package var configuration: ClusterConfiguration?
    /// In the order of the text, then what was found by the checks of meaning.
    package var diagnostics: [Diagnostic]
    /// Every file that was read.
    package var files: [String]
    package var identity: HostIdentity

    package var errors: [Diagnostic] { diagnostics.filter { $0.severity == .error } }
    package var warnings: [Diagnostic] { diagnostics.filter { $0.severity == .warning } }
    /// The exit status of a program that cannot go on: that of the first error; 0 if there is none.
    package var exitCode: Int32 { errors.first?.exitCode ?? 0 }

    /// What is wrong with own addresses: they must belong to a local interface, unless the check is switched off.
    ///
    /// For commands that talk to the network, and for `dump`. Spec: drbd-config-and-tools 4.11.
    package func foreignAddresses(of resources: [ResourceModel]) -> [Diagnostic] {
        guard let configuration, !configuration.global.isIPVerificationDisabled else { return [] }
        return resources.compactMap { resource in
            guard let host = resource.ownHost, !identity.owns(host.address) else { return nil }
            return Diagnostic(
                .error, .foreignAddress,
                [
                    "\(host.location.fileAndLine): in resource \(resource.name), on \(host.title):",
                    "\tIP \(host.address.address) not found on this host.",
                ], at: host.location,
                hints: [
                    "local addresses: \(identity.addressTexts.joined(separator: ", "))",
                    "give this host one of them, or switch the check off: global { disable-ip-verification; }",
                ])
        }
    }
}

/// Reads a configuration from its main file to the checked model.
package enum ConfigurationLoader {
    /// Where the main file is looked for, in this order. Spec: drbd-config-and-tools 1.
    package static let searchPaths = [
        "/etc/drbd-84.conf", "/etc/drbd-83.conf", "/etc/drbd-82.conf", "/etc/drbd-08.conf", "/etc/drbd.conf",
    ]

    /// Loads `path`, or the first of ``searchPaths`` below `root` that exists. `-` is standard input.
    ///
    /// `additionalPath` is read behind it, as if it were included at its end (drbdadm's `--config-to-test`).
    /// Never fails otherwise than by the diagnostics of its result.
    package static func load(
        path: String? = nil, additionalPath: String? = nil, source: any ConfigurationSource, identity: HostIdentity,
        root: String = "/"
    ) -> LoadedConfiguration {
        let candidates: [String]
        if let path {
            candidates = [path == "-" ? FileConfigurationSource.standardInputName : path]
        } else {
            candidates = searchPaths.map { pathBelowRoot($0, root: root) }
        }
        for candidate in candidates {
            do throws(SourceError) {
                let bytes = try source.read(candidate)
                return load(
                    bytes: bytes, fileName: candidate, additionalPath: additionalPath, source: source,
                    identity: identity, root: root)
            } catch {
                if case .notFound = error { continue }
                return unreadable(candidate, reason: error.reason, identity: identity)
            }
        }
        return unreadable(
            candidates.last ?? "drbd.conf", reason: SourceError.notFound(path: "").reason, identity: identity)
    }

    /// Loads a main file that is in memory already.
    package static func load(
        bytes: [UInt8], fileName: String, additionalPath: String? = nil, source: any ConfigurationSource,
        identity: HostIdentity, root: String = "/"
    ) -> LoadedConfiguration {
        let result = ConfigurationParser.parse(
            bytes: bytes, fileName: fileName, additionalFile: additionalPath, source: source, root: root)
        var loaded = LoadedConfiguration(
            path: fileName, configuration: nil, diagnostics: result.diagnostics, files: result.files,
            identity: identity)
        // Behind an error that left something out, every further complaint would be a consequence of it.
        guard result.isTreeComplete else { return loaded }
        var pass = SemanticPass(identity: identity, source: source, root: root)
        let configuration = pass.run(result.tree, mainFile: fileName)
        loaded.diagnostics += pass.diagnostics
        if loaded.errors.isEmpty { loaded.configuration = configuration }
        return loaded
    }

    /// Spec: drbd-config-and-tools 9, "no config file".
    private static func unreadable(_ path: String, reason: String, identity: HostIdentity) -> LoadedConfiguration {
        let diagnostic = Diagnostic(
            .error, .fileUnreadable, ["Can not open '\(path)'.", "\t\(reason)"], exitCode: 20)
        return LoadedConfiguration(
            path: path, configuration: nil, diagnostics: [diagnostic], files: [], identity: identity)
    }
}

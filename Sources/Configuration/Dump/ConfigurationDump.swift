/// `drbdadm dump`: the configuration as it was understood, in the 8.4 program's shape. Spec: drbd-config-and-tools 8.
///
/// What it prints can be read again. As there, disk options of a volume on resource level hold, but are not shown.
/// Deviation: names that need quotes get them, where the 8.4 program prints host
/// names and keywords bare.
package struct ConfigurationDump {
    private let configuration: ClusterConfiguration
    private var text = ""

    private init(_ configuration: ClusterConfiguration) {
        self.configuration = configuration
    }

    /// Everything: head comment, `global`, `common`, all resources.
    package static func all(_ configuration: ClusterConfiguration) -> String {
        var dump = ConfigurationDump(configuration)
        dump.line(0, "# \(configuration.path)")
        if configuration.hasGlobalSection { dump.global(configuration.global) }
        if let common = configuration.common {
            dump.line(0, "common {")
            for section in OptionSection.allCases { dump.section(section, common, level: 1) }
            dump.close(0)
            dump.text += "\n"
        }
        for resource in configuration.resources { dump.resource(resource) }
        return dump.text
    }

    /// The resources only.
    package static func resources(_ resources: [ResourceModel], of configuration: ClusterConfiguration) -> String {
        var dump = ConfigurationDump(configuration)
        for resource in resources { dump.resource(resource) }
        return dump.text
    }

    /// A string as the language needs it: in quotes if it holds anything but the bare set, or is a keyword.
    package static func quoted(_ value: String, isName: Bool = false) -> String {
        let isBare = !value.isEmpty && value.utf8.allSatisfy { Lexer.isWordByte($0) }
        let isKeyword = Keywords.reserved.contains(value) && (isName || !["on", "yes", "no"].contains(value))
        if isBare, !isKeyword, !(isName && looksLikeNumber(value)) { return value }
        var result = "\""
        for character in value.unicodeScalars {
            if character == "\"" || character == "\\" { result += "\\" }
            result.unicodeScalars.append(character)
        }
        return result + "\""
    }

    /// Digits only, or the form of an address: as a name it would be read as another token.
    private static func looksLikeNumber(_ value: String) -> Bool {
        Quantity.parse(value, in: .count) != nil || IPAddress(value) != nil
    }

    // MARK: Lines

    private mutating func line(_ level: Int, _ content: String) {
        text += String(repeating: " ", count: 4 * level) + content + "\n"
    }

    private mutating func close(_ level: Int) { line(level, "}") }

    /// `name value;` with the name in a column of `24 - 4 x level` and the value at least 3 wide, to the right.
    private mutating func option(_ level: Int, _ name: String, _ value: String) {
        let width = max(0, 24 - 4 * level)
        line(level, "\(Self.padded(name, to: width)) \(Self.rightAligned(value, in: 3));")
    }

    private static func padded(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.utf8.count))
    }

    private static func rightAligned(_ text: String, in width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.utf8.count)) + text
    }

    // MARK: Sections

    private mutating func global(_ global: GlobalSettings) {
        line(0, "global {")
        if global.isIPVerificationDisabled { line(1, "disable-ip-verification;") }
        if let count = global.minorCount { line(1, "minor-count \(count);") }
        if global.dialogRefreshSeconds != 1 { line(1, "dialog-refresh \(global.dialogRefreshSeconds);") }
        if global.usageCount != .ask { line(1, "usage-count \(global.usageCount.rawValue);") }
        // The values compared with are those of the 8.4 program, not its own defaults.
        if global.commandTimeoutShortSeconds != 5 { line(1, "cmd-timeout-short \(global.commandTimeoutShortSeconds);") }
        if global.commandTimeoutMediumSeconds != 121 {
            line(1, "cmd-timeout-medium \(global.commandTimeoutMediumSeconds);")
        }
        if global.commandTimeoutLongSeconds != 600 { line(1, "cmd-timeout-long \(global.commandTimeoutLongSeconds);") }
        close(0)
        text += "\n"
    }

    private mutating func section(_ section: OptionSection, _ entries: [OptionEntry], level: Int) {
        let own = entries.filter { $0.section == section }
        guard !own.isEmpty else { return }
        line(level, "\(section.rawValue) {")
        // Lists are printed behind everything else.
        for entry in own where entry.names.isEmpty {
            if entry.descriptor?.kind == .word {
                line(level + 1, "\(entry.name);")
            } else {
                option(level + 1, entry.name, Self.quoted(entry.value))
            }
        }
        for entry in own where !entry.names.isEmpty {
            let names = entry.names.map { Self.quoted($0, isName: true) }.joined(separator: " ")
            option(level + 1, entry.name, names)
        }
        close(level)
    }

    private mutating func resource(_ resource: ResourceModel) {
        let name = Self.quoted(resource.name, isName: true)
        let state = resource.ownHost == nil ? "ignored" : "not ignored"
        line(0, "# resource \(name) on \(configuration.nodeName): \(state), not stacked")
        line(0, "# defined at \(resource.file):\(resource.location.line)")
        line(0, "resource \(name) {")
        // The chapter has "options" in front of the hosts; the program prints it behind them.
        for item in resource.hosts { host(item) }
        for kind in OptionSection.allCases { section(kind, resource.options, level: 1) }
        close(0)
        text += "\n"
    }

    private mutating func host(_ host: HostModel) {
        switch host.kind {
        case .on: line(1, "on \(host.names.map { Self.quoted($0, isName: true) }.joined(separator: " ")) {")
        case .floating: line(1, "floating \(host.address.dumpText) {")
        }
        section(.options, host.options, level: 2)
        for volume in host.volumes {
            if volume.isExplicit {
                line(2, "volume \(volume.number) {")
                self.volume(volume, level: 3)
                close(2)
            } else {
                self.volume(volume, level: 2)
            }
        }
        if host.kind == .on { line(2, "\(Self.padded("address", to: 16)) \(host.address.dumpText);") }
        if let alternate = host.alternateAddress { line(2, "alternate-link-address \(alternate.dumpText);") }
        close(1)
    }

    private mutating func volume(_ volume: VolumeModel, level: Int) {
        section(.disk, volume.diskOptions, level: level)
        let device = volume.deviceName.map { "\(Self.quoted($0)) minor \(volume.minor)" } ?? "minor \(volume.minor)"
        option(level, "device", device)
        option(level, "disk", Self.quoted(volume.disk))
        switch volume.metaDisk {
        case .internal: option(level, "meta-disk", "internal")
        case .flexible(let path): line(level, "\(Self.padded("meta-disk", to: 16)) \(Self.quoted(path));")
        case .indexed(let path, let index):
            line(level, "\(Self.padded("meta-disk", to: 16)) \(Self.quoted(path)) [\(index)];")
        }
    }
}

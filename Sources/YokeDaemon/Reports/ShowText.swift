internal import Replication

/// `drbdsetup show`: the running configuration in a form that can be parsed again. Spec: drbd-config-and-tools 11.1.
package struct ShowText {
    /// Print options that have their default, too.
    package var withDefaults: Bool

    package init(withDefaults: Bool = false) {
        self.withDefaults = withDefaults
    }

    package func text(of report: ResourceReport) -> String {
        var lines = ["resource \(Self.word(report.name)) {"]
        lines += section("options", report.resourceOptions, indent: 1)
        if report.hasNetwork { lines += section("net", report.netOptions, indent: 1) }
        if let remote = report.remoteAddress {
            lines += ["    _remote_host {", "        address\t\t\t\(remote);", "    }"]
        }
        lines.append("    _this_host {")
        if let local = report.localAddress { lines.append("        address\t\t\t\(local);") }
        for volume in report.volumes {
            lines.append("        volume \(volume.snapshot.volume) {")
            lines.append("            device\t\t\tminor \(volume.minor);")
            if let backing = volume.backing {
                lines.append("            disk\t\t\t\(Self.quoted(backing.disk));")
                lines.append("            meta-disk\t\t\t\(Self.metaDisk(backing));")
                lines += section("disk", volume.diskOptions, indent: 3)
            }
            lines.append("        }")
        }
        lines += ["    }", "}"]
        return lines.joined(separator: "\n") + "\n\n"
    }

    private func section(_ name: String, _ options: [ShownOption], indent: Int) -> [String] {
        let margin = String(repeating: "    ", count: indent)
        var lines = ["\(margin)\(name) {"]
        for option in options where withDefaults || !option.isDefault {
            var line = "\(margin)    \(TextColumns.left(option.name, 16))\t\(option.value);"
            if withDefaults {
                let remarks = [option.unit, option.isDefault ? "default" : nil].compactMap(\.self)
                if !remarks.isEmpty { line += " # " + remarks.joined(separator: ", ") }
            }
            lines.append(line)
        }
        lines.append("\(margin)}")
        return lines
    }

    static func metaDisk(_ backing: BackingPaths) -> String {
        switch backing.index {
        case "internal": "internal"
        case "flexible", "flex-external": quoted(backing.metaDisk)
        default: "\(quoted(backing.metaDisk)) [ \(backing.index) ]"
        }
    }

    /// A string in quotes, whatever it contains.
    package static func quoted(_ text: String) -> String {
        var result = "\""
        for character in text {
            if character == "\"" || character == "\\" { result.append("\\") }
            result.append(character)
        }
        return result + "\""
    }

    /// A name: bare where the language allows it.
    static func word(_ text: String) -> String {
        let isBare =
            !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "_"),
                    UInt8(ascii: "-"):
                    true
                default: false
                }
            }
        return isBare ? text : quoted(text)
    }
}

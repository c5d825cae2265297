package import Configuration

/// From option entries to the lines of `drbdsetup show`. Spec: drbd-config-and-tools 11.1.
extension ShownOption {
    /// All options of a section in table order, each with its value or its default.
    package static func list(_ section: OptionSection, _ entries: [OptionEntry]) -> [ShownOption] {
        OptionTable.options(of: section).compactMap { descriptor in
            // Options of DRBD 9 are read for the sake of old files only.
            if case .notServed = descriptor.support, section == .options, descriptor.name != "cpu-mask" { return nil }
            let entry = entries.last { $0.section == section && $0.name == descriptor.name }
            let value = entry.map { shown($0.value, descriptor) } ?? shown(descriptor.defaultText, descriptor)
            let isDefault = entry.map { descriptor.isSame($0.value, descriptor.defaultText) } ?? true
            return ShownOption(
                name: descriptor.name, value: value, unit: unit(of: descriptor), isDefault: isDefault)
        }
    }

    private static func shown(_ value: String, _ descriptor: OptionDescriptor) -> String {
        switch descriptor.kind {
        case .number(let unit, _, _):
            Quantity.parse(value, in: unit).map { "\($0)\(unit.letter)" } ?? value
        case .text, .command: ShowText.quoted(value)
        case .wireProtocol: value.uppercased()
        case .flag, .enumeration, .resource, .names, .word: value
        }
    }

    private static func unit(of descriptor: OptionDescriptor) -> String? {
        guard case .number(let unit, _, _) = descriptor.kind else { return nil }
        switch unit {
        case .count: return nil
        case .bytes, .sectors: return "bytes"
        case .kibibytes: return "bytes/second"
        case .deciseconds: return "1/10 seconds"
        case .seconds: return "seconds"
        }
    }
}

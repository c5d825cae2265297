/// Where an effective option comes from.
package enum OptionOrigin: Equatable, Sendable {
    /// The `common` section, or the template file that takes its place.
    case common
    /// The resource, its connection included.
    case resource
    /// A volume on the level of the resource.
    case volume
    /// The volume inside the host section.
    case host
}

/// One option with its value, under its 8.4 name and in its 8.4 section.
package struct OptionEntry: Equatable, Sendable {
    package var section: OptionSection
    package var name: String
    /// As written, without quotes; `yes` or `no` for every flag; names of a list separated by blanks.
    package var value: String
    /// The names of a list (`become-primary-on`).
    package var names: [String]
    package var location: SourceLocation
    package var origin: OptionOrigin

    package init(
        section: OptionSection, name: String, value: String, names: [String] = [], location: SourceLocation,
        origin: OptionOrigin = .resource
    ) {
        self.section = section
        self.name = name
        self.value = value
        self.names = names
        self.location = location
        self.origin = origin
    }

    package var descriptor: OptionDescriptor? { OptionTable.option(name, in: section) }
}

/// The options of one section with typed access; what is not set has its default.
package struct OptionValues: Sendable {
    private let section: OptionSection
    private let entries: [OptionEntry]

    /// If `entries` names an option twice, the last one counts.
    package init(_ section: OptionSection, _ entries: [OptionEntry]) {
        self.section = section
        self.entries = entries.filter { $0.section == section }
    }

    private func entry(_ name: String) -> OptionEntry? { entries.last { $0.name == name } }

    private func descriptor(_ name: String) -> OptionDescriptor {
        guard let descriptor = OptionTable.option(name, in: section) else {
            preconditionFailure("no option '\(name)' in section \(section.rawValue)")
        }
        return descriptor
    }

    /// Whether the configuration says anything about this option.
    package func isSet(_ name: String) -> Bool { entry(name) != nil }

    /// The value of a numeric option in its own unit, inside its range.
    package func number(_ name: String) -> Int64 {
        guard case .number(let unit, let range, let standard) = descriptor(name).kind else {
            preconditionFailure("option '\(name)' is no number")
        }
        guard let entry = entry(name), let value = Quantity.parse(entry.value, in: unit) else { return standard }
        return min(max(value, range.lowerBound), range.upperBound)
    }

    package func flag(_ name: String) -> Bool {
        guard case .flag(let standard) = descriptor(name).kind else {
            preconditionFailure("option '\(name)' is no flag")
        }
        guard let entry = entry(name) else { return standard }
        return entry.value == "yes"
    }

    /// The value as text; the default of an enumeration, or "" for a text, if it is not set.
    package func text(_ name: String) -> String { entry(name)?.value ?? descriptor(name).defaultText }

    /// The names of a list; none if it is not set.
    package func names(_ name: String) -> [String] { entry(name)?.names ?? [] }
}

// What the parser makes of the files: typed, in the order of the text, every item with its place. Includes are
// followed, skipped blocks are gone, options already stand under their 8.4 names in their 8.4 sections.

/// All items on the top level of all files, in reading order.
package struct SyntaxTree: Equatable, Sendable {
    package enum Item: Equatable, Sendable {
        case global(GlobalSyntax)
        case common(ResourceSyntax)
        case resource(ResourceSyntax)
    }

    package var items: [Item] = []

    package init() {}
}

/// `global { ... }`
package struct GlobalSyntax: Equatable, Sendable {
    package var location: SourceLocation
    package var settings = GlobalSettings()

    init(location: SourceLocation) { self.location = location }
}

/// `resource NAME { ... }`, or `common { ... }` with the name `common`.
package struct ResourceSyntax: Equatable, Sendable {
    package var name: String
    package var location: SourceLocation
    /// Options of all sections in the order of the text.
    package var options: [OptionEntry] = []
    package var hosts: [HostSyntax] = []
    /// `volume N { ... }` on this level.
    package var volumes: [VolumeSyntax] = []
    /// Items of a volume directly on this level; nil if there are none.
    package var implicitVolume: VolumeSyntax?
    package var connections: [ConnectionSyntax] = []
    package var stackedOn: [Located<String>] = []
    package var templateFile: Located<String>?
    /// DRBD 9 puts disk options of a connection's volumes here: option entries by volume number.
    package var connectionVolumes: [VolumeSyntax] = []

    init(name: String, location: SourceLocation) {
        self.name = name
        self.location = location
    }
}

/// `on NAME... { ... }` or `floating ADDRESS { ... }`.
package struct HostSyntax: Equatable, Sendable {
    package enum Kind: Equatable, Sendable { case on, floating }

    package var kind: Kind
    /// The names of `on`; of a floating host the one that its address makes.
    package var names: [Located<String>]
    package var location: SourceLocation
    package var address: Located<Endpoint>?
    package var alternateAddress: Located<Endpoint>?
    package var nodeID: Located<Int>?
    package var volumes: [VolumeSyntax] = []
    package var implicitVolume: VolumeSyntax?
    /// The host's own `options { }`.
    package var options: [OptionEntry] = []
    package var proxy: SourceLocation?

    init(kind: Kind, names: [Located<String>], location: SourceLocation) {
        self.kind = kind
        self.names = names
        self.location = location
    }

    /// As messages name it: `alpha`, or `alpha beta`.
    package var title: String { names.map(\.value).joined(separator: " ") }
}

/// `device`, before its parts are checked against each other.
package struct DeviceSyntax: Equatable, Sendable {
    package var name: String?
    package var minor: Int?

    init(name: String?, minor: Int?) {
        self.name = name
        self.minor = minor
    }
}

/// A volume, or the items that stand for volume 0.
package struct VolumeSyntax: Equatable, Sendable {
    package var number: Int
    package var location: SourceLocation
    package var device: Located<DeviceSyntax>?
    package var disk: Located<String>?
    package var metaDisk: Located<MetaDisk>?
    package var diskOptions: [OptionEntry] = []

    init(number: Int, location: SourceLocation) {
        self.number = number
        self.location = location
    }
}

/// DRBD 9's `connection { host ...; host ...; }`, a path of it included, or a mesh of two hosts.
package struct ConnectionSyntax: Equatable, Sendable {
    package struct Host: Equatable, Sendable {
        package var name: Located<String>
        package var address: Located<Endpoint>?
        package var port: Located<Int>?
    }

    package var location: SourceLocation
    package var isMesh: Bool
    package var hosts: [Host] = []
    package var paths: [[Host]] = []

    init(location: SourceLocation, isMesh: Bool) {
        self.location = location
        self.isMesh = isMesh
    }
}

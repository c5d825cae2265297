// Resources, the common section, and what DRBD 9 adds. Spec: drbd-config-and-tools 3, 7.

extension ConfigurationParser {
    static let resourceExpected =
        "protocol | on | disk | net | syncer | startup | handlers | ignore-on | stacked-on-top-of"

    func parseCommon() throws(Stop) {
        let keyword = try take()
        claim("resource section", "common", scope: Self.everywhere, at: keyword.location)
        try expect("{")
        var common = ResourceSyntax(name: "common", location: keyword.location)
        try parseResourceBlock(.common, title: "common", keyword: keyword, into: &common)
        for host in common.hosts {
            note(
                Diagnostic(
                    .error, .hostInCommon,
                    [
                        "\(host.location.fileAndLine): in the common section, there are no host sections allowed."
                    ], at: host.location, hints: ["move the host section into a resource"]))
        }
        tree.items.append(.common(common))
    }

    func parseResource() throws(Stop) {
        let keyword = try take()
        let name = try expectString()
        checkResourceName(name)
        claim("resource section", name.text, scope: Self.everywhere, at: keyword.location)
        try expect("{")
        var resource = ResourceSyntax(name: name.text, location: keyword.location)
        try parseResourceBlock(
            .resource, title: "resource \(Token.shortened(name.text))", keyword: keyword, into: &resource)
        tree.items.append(.resource(resource))
    }

    /// Spec: drbd-config-and-tools 4.14.
    private func checkResourceName(_ name: Token) {
        var lines: [String] = []
        var hints: [String] = []
        if name.text.isEmpty {
            lines = ["Resource name is empty."]
        } else if name.text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) {
            lines = ["Resource name is invalid - please don't use control characters."]
        } else if name.text == "all" || name.text.contains("/") || name.text.hasPrefix("minor-") {
            warn(
                .invalidName,
                ["\(name.location.fileAndLine): WARN: the resource '\(name.shown)' cannot be named in commands"],
                at: name.location, hints: ["choose a name that is not 'all', without '/', not beginning with 'minor-'"])
            return
        } else {
            return
        }
        hints.append("choose a name of printable characters")
        note(Diagnostic(.error, .invalidName, lines, at: name.location, hints: hints, exitCode: 1))
    }

    private func parseResourceBlock(
        _ kind: OpenBlock.Kind, title: String, keyword: Token, into resource: inout ResourceSyntax
    ) throws(Stop) {
        try parseBlock(
            kind, title: title, keyword: keyword, expected: Self.resourceExpected,
            isKnown: { Self.belongs($0.text, to: kind) }
        ) { (token: Token) throws(Stop) in
            try self.parseResourceItem(token, into: &resource)
        }
    }

    /// The items of a template file, which has no frame around them.
    static func parseTemplate(
        bytes: [UInt8], fileName: String, source: any ConfigurationSource, root: String
    ) -> (ResourceSyntax, [Diagnostic]) {
        let parser = ConfigurationParser(bytes: bytes, fileName: fileName, source: source, root: root)
        let start = SourceLocation(file: fileName, line: 1, column: 1)
        var resource = ResourceSyntax(name: "common", location: start)
        while true {
            guard let token = try? parser.peek() else {
                parser.lookahead = nil
                continue
            }
            if token.kind == .endOfFile { return (resource, parser.diagnostics) }
            do throws(Stop) {
                try parser.parseResourceItem(token, into: &resource)
            } catch {
                parser.recover(from: token.location)
            }
        }
    }

    private func parseResourceItem(_ token: Token, into resource: inout ResourceSyntax) throws(Stop) {
        guard token.kind == .word else { throw unexpected(token, expected: Self.resourceExpected) }
        if token.text == "disk", tokensAhead(1).first?.isSymbol("{") == true {
            return try parseResourceOptions(token, .disk, into: &resource)
        }
        if Self.volumeItems.contains(token.text) {
            let scope = resource.location
            var volume = resource.implicitVolume ?? VolumeSyntax(number: 0, location: token.location)
            let name = resource.name
            try parseVolumeItem(token, key: "\(name):", scope: scope, into: &volume)
            resource.implicitVolume = volume
            return
        }
        if let section = SpelledSection(rawValue: token.text) {
            return try parseResourceOptions(token, section, into: &resource)
        }
        switch token.text {
        case "protocol": try parseProtocol(into: &resource)
        case "on": resource.hosts.append(try parseHost(of: resource))
        case "floating": resource.hosts.append(try parseFloating(of: resource))
        case "volume":
            resource.volumes.append(try parseVolume(key: "\(resource.name):", scope: resource.location))
        case "stacked-on-top-of": resource.stackedOn.append(try parseStacked())
        case "ignore-on": try parseIgnoreOn(of: resource.name)
        case "connection": try parseConnection(into: &resource)
        case "connection-mesh": try parseMesh(into: &resource)
        case "template-file":
            try take()
            let name = try expectString()
            try expect(";")
            resource.templateFile = Located(name.text, at: name.location)
        case "skip":
            let keyword = try take()
            if !(try peek().isSymbol("{")) { _ = try expectString() }
            try expect("{")
            skipOpenedBlock(keyword.location, what: "this skip block")
        default:
            throw unexpected(token, expected: Self.resourceExpected)
        }
    }

    private func parseResourceOptions(
        _ token: Token, _ section: SpelledSection, into resource: inout ResourceSyntax
    ) throws(Stop) {
        claim(
            "\(section.rawValue) section", "\(resource.name):\(section.rawValue)", scope: resource.location,
            at: token.location)
        try take()
        resource.options += try parseOptionSection(token, section)
        if section == .proxy { reportOnce(token, "is understood but not served yet: there is no DRBD Proxy") }
    }

    /// `protocol C;` at its 8.3 place.
    private func parseProtocol(into resource: inout ResourceSyntax) throws(Stop) {
        let keyword = try take()
        claim("protocol statement", "\(resource.name): protocol", scope: resource.location, at: keyword.location)
        let value = try expectString()
        guard let option = OptionTable.option("protocol", in: .net) else { return }
        if let letter = try? option.checked(value.text) {
            resource.options.append(
                OptionEntry(section: .net, name: "protocol", value: letter, location: keyword.location))
        } else {
            note(
                Diagnostic(
                    .error, .unknownProtocol, ["unknown protocol '\(value.shown)', should be one of A,B,C"],
                    at: value.location))
        }
        try expect(";")
    }

    private func parseStacked() throws(Stop) -> Located<String> {
        let keyword = try take()
        let name = try expectString()
        try expect("{")
        skipOpenedBlock(keyword.location, what: "this stacked-on-top-of block")
        return Located(name.text, at: keyword.location)
    }

    private func parseIgnoreOn(of resource: String) throws(Stop) {
        let keyword = try take()
        _ = try expectString()
        try expect(";")
        warn(
            .deprecated,
            [
                "\(keyword.location.fileAndLine): in resource \(resource), "
                    + "WARN: The 'ignore-on' keyword is deprecated."
            ], at: keyword.location, hints: ["it has no effect; remove it"])
    }

    // MARK: DRBD 9

    private func parseConnection(into resource: inout ResourceSyntax) throws(Stop) {
        let keyword = try take()
        if !(try peek().isSymbol("{")) {
            _ = try expectString(expected: "{ | TK_STRING")
            warn(
                .deprecated,
                ["\(keyword.location.fileAndLine): explicitly named connections are deprecated!"],
                at: keyword.location)
        }
        try expect("{")
        var connection = ConnectionSyntax(location: keyword.location, isMesh: false)
        var options: [OptionEntry] = []
        var volumes: [VolumeSyntax] = []
        try parseBlock(
            .connection, title: "connection", keyword: keyword, expected: "host | path | net | disk | volume",
            isKnown: { Self.belongs($0.text, to: .connection) }
        ) { (token: Token) throws(Stop) in
            switch token.text {
            case "host": connection.hosts.append(try self.parseConnectionHost())
            case "path": connection.paths.append(try self.parsePath())
            case "net", "disk":
                try self.take()
                options += try self.parseOptionSection(token, token.text == "net" ? .net : .disk)
            case "volume":
                volumes.append(try self.parseVolume(key: "\(resource.name):connection:", scope: token.location))
            case "skip": try self.parseResourceItem(token, into: &resource)
            default: throw self.unexpected(token, expected: "host | path | net | disk | volume")
            }
        }
        resource.options += options
        resource.connectionVolumes += volumes
        resource.connections.append(connection)
    }

    private func parsePath() throws(Stop) -> [ConnectionSyntax.Host] {
        let keyword = try take()
        try expect("{")
        var hosts: [ConnectionSyntax.Host] = []
        try parseBlock(
            .path, title: "path", keyword: keyword, expected: "host", isKnown: { $0.text == "host" }
        ) { (token: Token) throws(Stop) in
            guard token.isWord("host") else { throw self.unexpected(token, expected: "host") }
            hosts.append(try self.parseConnectionHost())
        }
        return hosts
    }

    /// `host NAME address A port P via proxy ... ;`
    private func parseConnectionHost() throws(Stop) -> ConnectionSyntax.Host {
        try take()
        let name = try expectString()
        var host = ConnectionSyntax.Host(name: Located(name.text, at: name.location))
        while true {
            let token = try peek()
            switch token.text {
            case "address" where token.kind == .word:
                try take()
                host.address = try parseEndpoint()
            case "port" where token.kind == .word:
                try take()
                host.port = try parsePort()
            case "via" where token.kind == .word:
                try take()
                reportOnce(token, "is understood but not served yet: there is no DRBD Proxy")
                try skipToOpenBrace()
                skipOpenedBlock(token.location, what: "this proxy block")
                return host
            default:
                try expect(";")
                return host
            }
        }
    }

    private func skipToOpenBrace() throws(Stop) {
        while try !peek().isSymbol("{") {
            let token = try peek()
            guard token.kind == .word || token.kind == .quoted else { throw unexpected(token, expected: "{") }
            try take()
        }
        try take()
    }

    private func parseMesh(into resource: inout ResourceSyntax) throws(Stop) {
        let keyword = try take()
        try expect("{")
        var mesh = ConnectionSyntax(location: keyword.location, isMesh: true)
        var options: [OptionEntry] = []
        try parseBlock(
            .mesh, title: "connection-mesh", keyword: keyword, expected: "hosts | net",
            isKnown: { Self.belongs($0.text, to: .mesh) }
        ) { (token: Token) throws(Stop) in
            switch token.text {
            case "hosts":
                try self.take()
                repeat {
                    let name = try self.expectString()
                    mesh.hosts.append(ConnectionSyntax.Host(name: Located(name.text, at: name.location)))
                } while try !self.peek().isSymbol(";")
                try self.expect(";")
            case "net":
                try self.take()
                options += try self.parseOptionSection(token, .net)
            default: throw self.unexpected(token, expected: "hosts | net")
            }
        }
        resource.options += options
        resource.connections.append(mesh)
    }
}

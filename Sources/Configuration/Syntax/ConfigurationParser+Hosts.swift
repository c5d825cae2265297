// Host sections, volumes, devices and addresses. Spec: drbd-config-and-tools 3.

extension ConfigurationParser {
    static let hostExpected = "disk | device | address | meta-disk | flexible-meta-disk"
    static let volumeExpected = "device | disk | meta-disk | flex-meta-disk | }"

    /// `on NAME... { ... }`
    func parseHost(of resource: ResourceSyntax) throws(Stop) -> HostSyntax {
        let keyword = try take()
        var names: [Located<String>] = []
        repeat {
            let name = try expectString(expected: names.isEmpty ? "TK_STRING" : "TK_STRING | '{'")
            names.append(Located(name.text, at: name.location))
        } while try !peek().isSymbol("{")
        try expect("{")
        var host = HostSyntax(kind: .on, names: names, location: keyword.location)
        for name in names {
            claim("host section", "\(resource.name): on \(name.value)", scope: resource.location, at: name.location)
        }
        try parseHostBlock(keyword, title: "on \(Token.shortened(host.title))", of: resource, into: &host)
        return host
    }

    /// `floating ADDRESS;` or `floating ADDRESS { ... }`
    func parseFloating(of resource: ResourceSyntax) throws(Stop) -> HostSyntax {
        let keyword = try take()
        let address = try parseEndpoint()
        let name = Located(address.value.floatingName, at: address.location)
        var host = HostSyntax(kind: .floating, names: [name], location: keyword.location)
        host.address = address
        claim("host section", "\(resource.name): on \(name.value)", scope: resource.location, at: keyword.location)
        if try peek().isSymbol(";") {
            try take()
            return host
        }
        try expect("{", expected: "{ | ;")
        try parseHostBlock(keyword, title: "floating \(Token.shortened(name.value))", of: resource, into: &host)
        return host
    }

    private func parseHostBlock(
        _ keyword: Token, title: String, of resource: ResourceSyntax, into host: inout HostSyntax
    ) throws(Stop) {
        let key = "\(resource.name):\(host.title):"
        let scope = host.location
        try parseBlock(
            .host, title: title, keyword: keyword, expected: Self.hostExpected,
            isKnown: { Self.belongs($0.text, to: .host) }
        ) { (token: Token) throws(Stop) in
            try self.parseHostItem(token, key: key, scope: scope, into: &host)
        }
    }

    private func parseHostItem(
        _ token: Token, key: String, scope: SourceLocation, into host: inout HostSyntax
    ) throws(Stop) {
        guard token.kind == .word else { throw unexpected(token, expected: Self.hostExpected) }
        if Self.volumeItems.contains(token.text) {
            var volume = host.implicitVolume ?? VolumeSyntax(number: 0, location: token.location)
            try parseVolumeItem(token, key: key, scope: scope, into: &volume)
            host.implicitVolume = volume
            return
        }
        switch token.text {
        case "volume":
            host.volumes.append(try parseVolume(key: key, scope: scope))
        case "address" where host.kind == .on:
            try take()
            claim("address statement", key + "address", scope: scope, at: token.location)
            host.address = try parseEndpoint()
            try expect(";")
        case "alternate-link-address":
            try take()
            host.alternateAddress = try parseEndpoint()
            try expect(";")
            reportOnce(token, "is understood but not served yet: one path is used")
        case "node-id":
            try take()
            host.nodeID = try expectInteger()
            try expect(";")
        case "options":
            try take()
            host.options += try parseOptionSection(token, .options)
        case "proxy":
            let keyword = try take()
            host.proxy = keyword.location
            reportOnce(token, "is understood but not served yet: there is no DRBD Proxy")
            while try !peek().isSymbol("{") {
                let word = try peek()
                guard word.kind == .word || word.kind == .quoted else { throw unexpected(word, expected: "on") }
                try take()
            }
            try take()
            skipOpenedBlock(keyword.location, what: "this proxy block")
        default:
            throw unexpected(token, expected: Self.hostExpected)
        }
    }

    // MARK: Volumes

    func parseVolume(key: String, scope: SourceLocation) throws(Stop) -> VolumeSyntax {
        let keyword = try take()
        let token = try peek()
        let number = try expectInteger()
        let isValid = checkRange("volume", token, number.value, 0...65535)
        claim("volume section", "\(key)volume \(number.value)", scope: scope, at: keyword.location)
        try expect("{")
        var volume = VolumeSyntax(number: isValid ? number.value : 0, location: keyword.location)
        try parseBlock(
            .volume, title: "volume \(number.value)", keyword: keyword, expected: Self.volumeExpected,
            isKnown: { Self.belongs($0.text, to: .volume) }
        ) { (item: Token) throws(Stop) in
            try self.parseVolumeItem(item, key: "\(key)\(number.value):", scope: keyword.location, into: &volume)
        }
        return volume
    }

    /// One of `device`, `disk`, `meta-disk`, `flexible-meta-disk`.
    func parseVolumeItem(
        _ token: Token, key: String, scope: SourceLocation, into volume: inout VolumeSyntax
    ) throws(Stop) {
        switch token.text {
        case "device" where token.kind == .word:
            try take()
            claim("device statement", key + "device", scope: scope, at: token.location)
            volume.device = Located(try parseDevice(), at: token.location)
        case "disk" where token.kind == .word:
            try take()
            if try peek().isSymbol("{") {
                // A statement of its own: "disk /dev/sda; disk { ... }" is good.
                claim("disk statement", key + "disk", scope: lexicalScope(scope, "options"), at: token.location)
                volume.diskOptions += try parseOptionSection(token, .disk)
                return
            }
            claim("disk statement", key + "disk", scope: scope, at: token.location)
            let path = try expectString(expected: "TK_STRING | {")
            try expect(";")
            volume.disk = Located(path.text, at: token.location)
        case "meta-disk" where token.kind == .word, "flexible-meta-disk" where token.kind == .word:
            try take()
            claim("meta-disk statement", key + "meta-disk", scope: scope, at: token.location)
            volume.metaDisk = Located(try parseMetaDisk(isFlexible: token.text != "meta-disk"), at: token.location)
        default:
            throw unexpected(token, expected: Self.volumeExpected)
        }
    }

    private func lexicalScope(_ location: SourceLocation, _ suffix: String) -> SourceLocation {
        SourceLocation(file: location.file + "#" + suffix, line: location.line, column: location.column)
    }

    private func parseDevice() throws(Stop) -> DeviceSyntax {
        var device = DeviceSyntax(name: nil, minor: nil)
        if !(try peek().isWord("minor")) {
            device.name = try expectString(expected: "TK_STRING | minor").text
            let next = try peek()
            if next.isSymbol(";") {
                try take()
                return device
            }
            guard next.isWord("minor") else { throw unexpected(next, expected: "minor | ;") }
        }
        try take()
        let token = try peek()
        let minor = try expectInteger()
        if checkRange("minor", token, minor.value, 0...1_048_575) { device.minor = minor.value }
        try expect(";")
        return device
    }

    private func parseMetaDisk(isFlexible: Bool) throws(Stop) -> MetaDisk {
        let path = try expectString()
        if path.isWord("internal") {
            try expect(";")
            return .internal
        }
        guard !isFlexible, try peek().isSymbol("[") else {
            try expect(";", expected: isFlexible ? ";" : "[ | ;")
            return .flexible(path.text)
        }
        try take()
        let index = try expectInteger()
        try expect("]")
        try expect(";")
        return .indexed(path.text, index.value)
    }

    // MARK: Addresses

    static let addressExpected = "ssocks | sdp | ipv4 | ipv6 | <ipv4 address> "

    func parseEndpoint() throws(Stop) -> Located<Endpoint> {
        let start = try peek()
        var family = AddressFamily.ipv4
        switch start.text {
        case "ipv4" where start.kind == .word: try take()
        case "ipv6" where start.kind == .word:
            try take()
            family = .ipv6
        case "ssocks" where start.kind == .word, "sci" where start.kind == .word:
            try take()
            family = .ssocks
        case "sdp" where start.kind == .word:
            try take()
            family = .sdp
        default: break
        }
        let address =
            family == .ipv6 ? try parseIPv6() : try parseIPv4(isFirst: start.location == (try peek()).location)
        try expect(":")
        let port = try parsePort()
        if family == .ssocks || family == .sdp {
            reportOnce(start, "is understood but not served yet: use ipv4 or ipv6")
        }
        return Located(Endpoint(family: family, address: address, port: port.value), at: start.location)
    }

    private func parseIPv4(isFirst: Bool) throws(Stop) -> String {
        let token = try peek()
        guard token.kind == .ipv4 else {
            var hints: [String] = []
            if token.kind == .ipv6 || token.isSymbol("[") { hints = ["write 'ipv6 [ADDRESS]:PORT'"] }
            if token.kind == .word { hints = ["write an IP address, not a host name: ADDRESS:PORT"] }
            throw unexpected(
                token, expected: isFirst ? Self.addressExpected : "<ipv4 address> ", hints: hints)
        }
        guard IPAddress(token.text) != nil else {
            throw unexpected(token, expected: "<ipv4 address> ", hints: ["each part is at most 255"])
        }
        return try take().text
    }

    private func parseIPv6() throws(Stop) -> String {
        try expect("[")
        let token = try peek()
        guard token.kind == .ipv6 else { throw unexpected(token, expected: "TK_IPADDR6") }
        try take()
        try expect("]")
        return token.text
    }

    func parsePort() throws(Stop) -> Located<Int> {
        let token = try peek()
        let port = try expectInteger()
        return checkRange("port", token, port.value, 1...65535) ? port : Located(0, at: port.location)
    }
}

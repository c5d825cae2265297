import Configuration
import Testing

@testable import VolumeTools
@testable import YokeDaemon

/// docs/compatibility.md names what the code knows, and says of it what the code does.
@Suite struct CompatibilityTests {
    static let keywords = "## Keywords of drbd.conf"
    static let mountOptions = "## Mount options"
    static let formatOptions = "### Options of mkfs.ocfs2"

    @Test("every option of drbd.conf stands in its section and column", arguments: OptionSection.allCases)
    func keywords(section: OptionSection) throws {
        let rows = try Page("docs/compatibility.md").rows(below: Self.keywords)
        let row = try #require(rows.first { $0.first == section.rawValue })
        let options = OptionTable.options(of: section)
        func names(_ isMeant: (OptionSupport) -> Bool) -> Set<String> {
            Set(options.filter { isMeant($0.support) }.map(\.name))
        }
        #expect(Page.names(in: row[1]) == names { $0 == .served })
        #expect(Page.names(in: row[2]) == names { $0 == .ignored })
        #expect(Page.names(in: row[3]) == names { $0 != .served && $0 != .ignored })
    }

    @Test("every keyword of the global section that is named is read")
    func globalKeywords() throws {
        let rows = try Page("docs/compatibility.md").rows(below: Self.keywords)
        let names = Page.names(in: try #require(rows.first { $0.first == "global" })[1])
        #expect(names.count == 8)
        for name in names.sorted() {
            let value = name == "usage-count" ? " no" : name.hasPrefix("disable") || name.hasPrefix("udev") ? "" : " 5"
            let loaded = ConfigurationLoader.load(
                path: "/t", source: MemoryConfigurationSource(files: ["/t": "global { \(name)\(value); }\n"]),
                identity: HostIdentity(nodeName: "alpha", otherNames: [], addressTexts: []))
            #expect(loaded.errors.isEmpty, "\(name)")
        }
    }

    @Test("every mount option stands in its row")
    func mountOptions() throws {
        let page = try Page("docs/compatibility.md")
        func names(_ isMeant: (MountOptionTable.Support) -> Bool) -> Set<String> {
            Set(MountOptionTable.all.filter { isMeant($0.support) }.map(\.spelling))
        }
        #expect(try page.names(below: Self.mountOptions, row: "served") == names { $0 == .served })
        #expect(try page.names(below: Self.mountOptions, row: "accepted and ignored") == names { $0 == .ignored })
        #expect(
            try page.names(below: Self.mountOptions, row: "refused") == names { $0 != .served && $0 != .ignored })
    }

    @Test("a mount option does what its row says", arguments: MountOptionTable.all.map(\.spelling))
    func mountOption(spelling: String) throws {
        let entry = try #require(MountOptionTable.all.first { $0.spelling == spelling })
        switch entry.support {
        case .served, .ignored: #expect(try MountWords(entry.sample).ignored == [])
        case .refused(let reason):
            #expect(throws: MountWords.Refusal(text: "mount option '\(entry.sample)': \(reason)")) {
                try MountWords(entry.sample)
            }
        }
    }

    @Test("every option of mkfs.ocfs2 stands in one row")
    func formatOptions() throws {
        let page = try Page("docs/compatibility.md")
        let rows = try ["served", "accepted and ignored", "refused"].map {
            try page.names(below: Self.formatOptions, row: $0)
        }
        let known = FormatCommandLine.table.flatMap { option in
            (option.letter.map { ["-\($0)"] } ?? []) + (option.word.map { ["--\($0)"] } ?? [])
        }
        #expect(rows.reduce(into: Set()) { $0.formUnion($1) } == Set(known))
        #expect(rows.reduce(0) { $0 + $1.count } == known.count)
        let plain = try FormatCommandLine(["/dev/drbd0"])
        for name in rows[1] { #expect(try FormatCommandLine([name, "/dev/drbd0"]) == plain, "\(name)") }
        for name in rows[2] {
            #expect(throws: FormatCommandLine.Failure.self, "\(name)") { try FormatCommandLine([name, "/dev/drbd0"]) }
        }
    }
}

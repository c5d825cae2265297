import Configuration
import Testing

/// The same configuration in the spellings of 8.3, 8.4 and 9 gives the same model. Spec: drbd-config-and-tools 6, 7.
@Suite struct EquivalenceTests {
    static let eight3 = """
        common { syncer { rate 10M; verify-alg sha1; } protocol C; }
        resource r { startup { become-primary-on both; } disk { no-disk-flushes; fencing resource-only; }
          net { allow-two-primaries; no-tcp-cork; } syncer { al-extents 257; use-rle; }
          device /dev/drbd1; disk /dev/sda7; meta-disk internal;
          on alpha { address 10.0.0.1:7789; } on beta { address 10.0.0.2:7789; } }
        """
    static let eight4 = """
        common { disk { resync-rate 10M; } net { verify-alg sha1; protocol C; } }
        resource r { startup { become-primary-on both; }
          disk { disk-flushes no; fencing resource-only; al-extents 257; }
          net { allow-two-primaries yes; tcp-cork no; use-rle yes; }
          volume 0 { device /dev/drbd1 minor 1; disk /dev/sda7; meta-disk internal; }
          on alpha { address ipv4 10.0.0.1:7789; } on beta { address ipv4 10.0.0.2:7789; } }
        """
    static let nine = """
        global { require-drbd-module-version-ge 9.0.16; }
        common { disk { resync-rate 10M; } net { verify-alg sha1; protocol C; } }
        resource r { startup { become-primary-on both; }
          volume 0 { device /dev/drbd1; disk /dev/sda7; meta-disk internal; disk { disk-flushes no; al-extents 257; } }
          on alpha { node-id 0; } on beta { node-id 1; }
          skip something { any { thing } }
          connection {
            host alpha address 10.0.0.1:7789;
            host beta address 10.0.0.2 :7789;
            net { fencing resource-only; allow-two-primaries yes; tcp-cork no; use-rle yes; }
          } }
        """

    private func meaning(_ text: String) throws -> [String] {
        let loaded = load(text)
        #expect(loaded.errors == [])
        let resource = try #require(loaded.configuration?.resources.first)
        var lines: [String] = []
        for host in resource.hosts {
            lines.append("\(host.title) \(host.address.setupArgument)")
            for volume in host.volumes {
                lines.append("\(volume.devicePath) \(volume.minor) \(volume.disk) \(volume.metaDisk)")
                lines += resource.effectiveDiskOptions(volume).map { "disk \($0.name)=\($0.value)" }.sorted()
            }
        }
        for section in [OptionSection.net, .startup, .options, .handlers] {
            lines += resource.effectiveOptions(section).map { "\(section) \($0.name)=\($0.value)" }.sorted()
        }
        return lines
    }

    @Test("8.3, 8.4 and 9 spelling mean the same")
    func spellings() throws {
        let expected = try meaning(Self.eight4)
        #expect(try meaning(Self.eight3) == expected)
        #expect(try meaning(Self.nine) == expected)
        #expect(expected.contains("disk fencing=resource-only"))
        #expect(expected.contains("net verify-alg=sha1"))
    }

    @Test("a mesh of two hosts and the path form of DRBD 9 are read; a template takes the place of common")
    func nineExtras() throws {
        let loaded = load(
            """
            common { net { protocol A; } }
            resource r { template-file "t.tmpl";
              device minor 3; disk /dev/x; meta-disk internal;
              on alpha { node-id 0; } on beta { node-id 1; address 10.0.0.2:1; }
              connection "name" { path { host alpha address 10.0.0.1:7789; host beta address 10.0.0.2:7789; } }
            }
            resource m { device minor 4; disk /dev/y; meta-disk internal;
              on alpha { address 10.0.0.1:7790; } on beta { address 10.0.0.2:7790; }
              connection-mesh { hosts alpha beta; net { protocol B; } } }
            """, files: ["/tmp/t.tmpl": "net { timeout 55; }"])
        let configuration = try #require(loaded.configuration)
        let first = configuration.resources[0]
        #expect(first.hosts.map(\.address.addressAndPort) == ["10.0.0.1:7789", "10.0.0.2:7789"])
        #expect(first.effectiveOptions(.net).map { "\($0.name) \($0.value)" } == ["timeout 55"])
        #expect(configuration.resources[1].effectiveOptions(.net).map(\.value) == ["B"])
    }

    @Test("old options without a meaning are dropped, the rest of the section stands")
    func dropped() throws {
        let loaded = load(
            resource("net { delay-probe-volume 5; timeout 50; } disk { hold-off-threshold 5; rate 3M; use-bmbv; }"))
        let entries = try #require(loaded.configuration).resources[0].options
        #expect(entries.map { "\($0.section) \($0.name) \($0.value)" } == ["net timeout 50", "disk resync-rate 3M"])
        #expect(loaded.warnings.count == 3)
    }

    @Test("every 8.3 flag has its 8.4 form, with and without no-, and yes or no behind it")
    func flags() throws {
        let loaded = load(
            resource(
                """
                disk { no-disk-barrier; no-disk-flushes; no-disk-drain; no-md-flushes; al-updates yes; }
                net { no-tcp-cork; allow-two-primaries no; always-asbp; no-use-rle; }
                """))
        let entries = try #require(loaded.configuration).resources[0].options
        #expect(
            entries.map { "\($0.name) \($0.value)" } == [
                "disk-barrier no", "disk-flushes no", "disk-drain no", "md-flushes no", "al-updates yes", "tcp-cork no",
                "allow-two-primaries no", "always-asbp yes", "use-rle no",
            ])
    }
}

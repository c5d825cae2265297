import Configuration
import Testing

@testable import Pairing

@Suite struct FileTests {
    /// The files of a fresh host, in memory.
    private func source(_ plan: PairPlan, main: String? = nil) -> MemoryConfigurationSource {
        MemoryConfigurationSource(files: [
            "/etc/drbd.conf": PairFiles.main(main) ?? main ?? "",
            "/etc/drbd.d/web.res": PairFiles.resource(plan, sharedSecret: "abc"),
        ])
    }

    @Test("both hosts read the configuration without a complaint, each as its own", arguments: ["alpha", "beta"])
    func resource(_ node: String) throws {
        let plan = try Samples.plan()
        let loaded = ConfigurationLoader.load(
            source: source(plan), identity: HostIdentity(nodeName: node, addressTexts: ["10.0.0.1", "10.0.0.2"]))
        #expect(loaded.diagnostics.isEmpty)
        let model = try #require(loaded.configuration?.resource(named: "web"))
        #expect(model.ownHost?.names == [node])
        #expect(model.ownHost?.volumes.first?.disk == "/var/lib/yoke/web.img")
        #expect(model.ownHost?.address.port == 7789)
        let net = Dictionary(uniqueKeysWithValues: model.effectiveOptions(.net).map { ($0.name, $0.value) })
        #expect(net["shared-secret"] == "abc" && net["cram-hmac-alg"] == "sha256")
        #expect(net["allow-two-primaries"] != nil && net["after-sb-2pri"] == "disconnect")
    }

    @Test("names that a set-up allows need no quotes in the configuration", arguments: ["web-1", "a.b_c", "0web"])
    func names(_ name: String) throws {
        let own = Samples.survey("node-1.example.org", "10.0.0.1", resource: name)
        let peer = Samples.survey("node_2", "10.0.0.2", resource: name)
        let plan = try PairPlan(
            resource: name, byteCount: 1 << 30, mountPoint: "/srv/web", port: nil, own: own, peer: peer)
        #expect(plan.problem == nil)
        let files = MemoryConfigurationSource(files: [
            "/etc/drbd.conf": PairFiles.resource(plan, sharedSecret: "abc")
        ])
        let loaded = ConfigurationLoader.load(source: files, identity: HostIdentity(nodeName: "node_2"))
        #expect(loaded.configuration?.resource(named: name)?.ownHost?.address.address == "10.0.0.2")
    }

    @Test("drbd.conf gets its include only if it lacks it, and keeps everything else")
    func mainFile() {
        #expect(PairFiles.main(nil)?.contains("include \"drbd.d/*.res\";") == true)
        let debian = "include \"drbd.d/global_common.conf\";\ninclude \"drbd.d/*.res\";\n"
        #expect(PairFiles.main(debian) == nil)
        #expect(PairFiles.main("include /etc/drbd.d/*.res;") == nil)
        let own = "resource r0 { }"
        #expect(PairFiles.main(own) == own + "\ninclude \"drbd.d/*.res\";\n")
        #expect(PairFiles.main("# include \"drbd.d/*.res\";\n")?.hasSuffix("\ninclude \"drbd.d/*.res\";\n") == true)
    }

    @Test("cluster.conf is what the classic tools write, with the hosts as nodes 0 and 1")
    func cluster() throws {
        let text = PairFiles.cluster(try Samples.plan())
        #expect(
            text == """
                cluster:
                \tname = web
                \theartbeat_mode = local
                \tnode_count = 2

                node:
                \tcluster = web
                \tnumber = 0
                \tip_port = 7777
                \tip_address = 10.0.0.1
                \tname = alpha

                node:
                \tcluster = web
                \tnumber = 1
                \tip_port = 7777
                \tip_address = 10.0.0.2
                \tname = beta


                """)
    }

    @Test("the service starts the cluster with the fast timers; other lines of its file stay")
    func service() throws {
        let plan = try Samples.plan()
        let empty = PairFiles.service(plan, ServiceSettings(bytes: [], path: "/etc/default/o2cb"))
        #expect(
            empty == """
                O2CB_ENABLED=true
                O2CB_BOOTCLUSTER=web
                O2CB_HEARTBEAT_THRESHOLD=4
                O2CB_IDLE_TIMEOUT_MS=5000
                O2CB_KEEPALIVE_DELAY_MS=1000
                O2CB_RECONNECT_DELAY_MS=2000

                """)
        let debian = ServiceSettings(bytes: Array("# by hand\nO2CB_ENABLED=false\n".utf8), path: "/etc/default/o2cb")
        #expect(PairFiles.service(plan, debian).hasPrefix("# by hand\nO2CB_ENABLED=true\nO2CB_BOOTCLUSTER=web\n"))
    }

    @Test("fstab gets one line at its end")
    func fstab() throws {
        let plan = try Samples.plan()
        let line = "/dev/drbd0  /srv/web  ocfs2  noauto,x-yoke.auto,noatime  0 0\n"
        #expect(PairFiles.fstab(plan, nil) == line)
        #expect(PairFiles.fstab(plan, "proc /proc proc") == "proc /proc proc\n" + line)
        #expect(PairFiles.fstabLine(for: "/srv/web", in: PairFiles.fstab(plan, "# x\n")) == String(line.dropLast()))
        #expect(PairFiles.fstabLine(for: "/srv/web", in: "# /dev/sda /srv/web ext4\n") == nil)
    }
}

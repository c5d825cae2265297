import Configuration
import Testing

@Suite struct SharedVolumeCheckTests {
    static let cluster = """
        cluster:
        \tname = web
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

        """

    static func warnings(_ items: String, cluster: String? = cluster) throws -> [Diagnostic] {
        let model = try #require(load(resource(items)).configuration)
        return SharedVolumeCheck.diagnostics(
            model, root: "/",
            source: MemoryConfigurationSource(files: cluster.map { ["/etc/ocfs2/cluster.conf": $0] } ?? [:]))
    }

    @Test("a resource between two nodes of a cluster that only one of them can use is named, with the mending")
    func betweenNodes() throws {
        let found = try Self.warnings("net { after-sb-0pri discard-zero-changes; }")
        #expect(
            found.map(\.shortText) == [
                "/tmp/t.conf:1: resource a: both hosts are nodes of cluster 'web', but one at a time can be Primary\n"
                    + "\thint: add 'allow-two-primaries;' to 'net {' of resource a, if both shall have it mounted at the "
                    + "same time"
            ])
        #expect(found.map(\.severity) == [.warning])
    }

    @Test(
        "nothing is said of a pair that may, and of a pair of which one is in reserve",
        arguments: [
            ("net { allow-two-primaries; }", cluster), ("", nil), ("", cluster.replacing("beta", with: "gamma")),
        ])
    func good(items: String, cluster: String?) throws {
        #expect(try Self.warnings(items, cluster: cluster) == [])
    }
}

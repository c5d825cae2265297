import Administration
import Configuration
import LinuxReactor
import Testing

@testable import YokeDaemon

@Suite("who mounts as a member")
struct ClusterChoiceTests {
    private let web = ClusterRegistration(
        cluster: Cluster(name: "web", nodes: [ClusterNode(name: "alpha", number: 0, address: "10.0.0.1")]),
        ownNode: ClusterNode(name: "alpha", number: 0, address: "10.0.0.1"), timers: .kernel)

    private func choice(_ option: HeartbeatOption, _ registration: ClusterRegistration?) -> ClusterChoice {
        ClusterChoice(option: option, service: ClusterMembership()) { _ in registration }
    }

    private func volume(isLocal: Bool = false, stack: String? = "o2cb", cluster: String? = "web") -> ClusteredVolume {
        ClusteredVolume(
            isLocal: isLocal, stack: stack, clusterName: cluster, hasGlobalHeartbeat: false,
            uuid: "7E012AE3BF62458B8A58C073CF6E1C36")
    }

    private func refusal(_ choice: ClusterChoice, _ volume: ClusteredVolume) async -> String? {
        do throws(ClusterFailure) {
            _ = try await choice.registration(for: volume)
            return nil
        } catch {
            return error.text
        }
    }

    @Test("a volume of the registered cluster, or of any, is mounted as a member", arguments: ["web", nil])
    func member(cluster: String?) async throws {
        let found = try await choice(.unspecified, web).registration(for: volume(cluster: cluster))
        #expect(found == web)
    }

    @Test("a volume for one host, and a host in no cluster, need none")
    func alone() async throws {
        #expect(try await choice(.unspecified, web).registration(for: volume(isLocal: true)) == nil)
        #expect(try await choice(.none, nil).registration(for: volume()) == nil)
    }

    @Test("what cannot be served is refused with what to do")
    func refusals() async throws {
        let other = await refusal(choice(.unspecified, web), volume(cluster: "mail"))
        #expect(other?.contains("register-cluster mail") == true)
        let none = await refusal(choice(.none, web), volume())
        #expect(none?.hasPrefix("Heartbeat has to be started to mount a read-write clustered device") == true)
        let nowhere = await refusal(choice(.local, nil), volume())
        #expect(nowhere?.contains("yoke o2cb add-node") == true)
        let local = await refusal(choice(.local, web), volume(isLocal: true))
        #expect(local?.contains("without heartbeat=local") == true)
        let stack = await refusal(choice(.unspecified, web), volume(stack: "pcmk"))
        #expect(stack?.contains("'pcmk'") == true)
        var global = volume()
        global.hasGlobalHeartbeat = true
        #expect(await refusal(choice(.unspecified, web), global)?.contains("global heartbeat") == true)
    }

    @Test("the heartbeat option is read, and global refused by name")
    func words() throws {
        #expect(try MountWords("noatime,heartbeat=local").heartbeat == .local)
        #expect(try MountWords("heartbeat=none").heartbeat == .none)
        #expect(try MountWords("cluster_stack=o2cb").heartbeat == .unspecified)
        #expect(throws: MountWords.Refusal.self) { try MountWords("heartbeat=global") }
        #expect(throws: MountWords.Refusal.self) { try MountWords("cluster_stack=pcmk") }
    }

    @Test("a cluster with a running heartbeat is not unregistered")
    func unregister() {
        let membership = ClusterMembership()
        #expect(membership.register(web) == nil)
        membership.regionStarted(uuid: "7E01", source: "/dev/drbd0")
        #expect(membership.unregister("web") == "Atleast one heartbeat region is still active")
        #expect(membership.state.text.hasSuffix("region 7E01 drbd0\n"))
        membership.regionEnded(uuid: "7E01")
        #expect(membership.unregister("mail") == "Cluster 'mail' is not active")
        #expect(membership.unregister("web") == nil && membership.registration == nil)
    }
}

@Suite("the reference address")
struct DefaultGatewayTests {
    private let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

    @Test("the gateway is the one of the default route")
    func gateway() {
        let table =
            head + "eth0\t0000630A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
            + "eth0\t00000000\tFE00630A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
        #expect(DefaultGateway.parse(table) == .ipv4(address: 0x0a63_00fe, port: 0))
    }

    @Test("without a default route there is none", arguments: ["", "garbage\nmore garbage\n"])
    func none(text: String) {
        #expect(DefaultGateway.parse(text) == nil)
        #expect(DefaultGateway.parse(head + "eth0\t0000630A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n") == nil)
    }
}

@Suite("mounts in the status")
struct MountReportTests {
    @Test("a member shows who is there, a stopped one what to do")
    func texts() {
        var member = MountReport.Member(cluster: "web", node: 1, members: [0, 1], alive: [0, 1])
        member.heartbeatAgeMilliseconds = 700
        var report = MountReport(source: "/dev/drbd0", directory: "/srv", member: member)
        #expect(
            report.text == """
                /dev/drbd0 on /srv: mounted
                  cluster     web, node 1, members 0 1, alive 0 1
                  heartbeat   700 ms ago

                """)
        #expect(report.health == .healthy)
        report.stopReason = "cut off"
        #expect(report.text.hasPrefix("/dev/drbd0 on /srv: STOPPED - cut off\n"))
        #expect(report.text.hasSuffix("  to do       yoke umount /srv, then mount it again\n"))
        #expect(HumanStatus.exitStatus(of: [], [report]) == 2)
        #expect(MountReport(source: "a", directory: "b").text == "a on b: mounted, for this host alone\n")
    }
}

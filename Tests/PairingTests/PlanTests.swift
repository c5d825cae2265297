import Configuration
import Testing

@testable import Pairing

@Suite struct PlanTests {
    private func refusal(_ own: HostSurvey, _ peer: HostSurvey, size: UInt64 = 10 << 30, port: Int? = nil) -> String {
        do throws(PairingRefusal) {
            _ = try Samples.plan(own, peer, size: size, port: port)
            return ""
        } catch {
            return error.text
        }
    }

    @Test("two fresh hosts: the first numbers, a new cluster with the fast timers, equal disks")
    func fresh() throws {
        let plan = try Samples.plan()
        #expect((plan.minor, plan.port) == (0, 7789))
        #expect((plan.cluster, plan.makesCluster) == ("web", true))
        #expect(plan.timers.timers == .yokePair)
        #expect(plan.areDisksEqual && plan.problem == nil)
        #expect(plan.hosts.map(\.node) == ["alpha", "beta"])
    }

    @Test("numbers that either host uses are left out")
    func numbers() throws {
        var (alpha, beta) = (Samples.alpha, Samples.beta)
        alpha.minors = [0]
        beta.minors = [1, 3]
        alpha.ports = [7789, 7791]
        beta.ports = [7790]
        let plan = try Samples.plan(alpha, beta)
        #expect((plan.minor, plan.port) == (2, 7792))
        #expect(refusal(alpha, beta, port: 7790) == "port 7790 is in use on beta")
        #expect(try Samples.plan(alpha, beta, port: 9000).port == 9000)
    }

    @Test("what cannot be is refused with the name of the host and the reason")
    func refusals() {
        var beta = Samples.beta
        beta.node = "ALPHA"
        #expect(refusal(Samples.alpha, beta).hasPrefix("both hosts are called alpha: "))
        beta = Samples.beta
        beta.address = "10.0.0.1"
        #expect(refusal(Samples.alpha, beta).hasPrefix("both hosts have the address 10.0.0.1"))
        beta = Samples.beta
        beta.resources = ["web"]
        #expect(refusal(Samples.alpha, beta) == "beta has a resource web already: choose another name")
        beta = Samples.beta
        beta.resource = "mail"
        #expect(refusal(Samples.alpha, beta) == "beta wants to join 'mail', this is 'web'")
        beta = Samples.beta
        beta.release = "9"
        #expect(refusal(Samples.alpha, beta) == "alpha runs yoked 0.1, beta 9: use one release")
        beta = Samples.survey("beta", "10.0.0.2", free: 1 << 30)
        #expect(
            refusal(Samples.alpha, beta)
                == "the disk of beta is too small: it has room for 1.0 GiB, wanted are 10.0 GiB")
        #expect(refusal(Samples.alpha, Samples.beta, size: 1 << 20).contains("at least 64.0 MiB"))
    }

    @Test("a sparse file may be larger than what is free; a device counts as it is, and wants a first sync")
    func disks() throws {
        var beta = Samples.survey("beta", "10.0.0.2", free: 1 << 30)
        beta.disk.isSparse = true
        #expect(try Samples.plan(Samples.alpha, beta).areDisksEqual)
        beta.disk = PairDisk(path: "/dev/sdb", isNewFile: false, byteCount: 11 << 30)
        #expect(try !Samples.plan(Samples.alpha, beta).areDisksEqual)
        beta.disk.byteCount = 9 << 30
        #expect(refusal(Samples.alpha, beta).hasPrefix("the disk of beta is too small: it is /dev/sdb, 9.0 GiB"))
    }

    @Test("a cluster that both are in is used as it is")
    func sameCluster() throws {
        let text = Samples.cluster([("alpha", "10.0.0.1"), ("beta", "10.0.0.2")])
        var (alpha, beta) = (Samples.alpha, Samples.beta)
        alpha.clusterText = text
        beta.clusterText = text
        alpha.timers = PairTimers(.yokePair)
        beta.timers = PairTimers(.yokePair)
        let plan = try Samples.plan(alpha, beta)
        #expect((plan.cluster, plan.makesCluster) == ("shop", false))
        beta.timers = nil
        #expect(refusal(alpha, beta).contains("timers of the cluster in /etc/default/o2cb differ"))
        beta.timers = alpha.timers
        beta.registeredCluster = "other"
        #expect(refusal(alpha, beta).contains("beta runs in the cluster other, not in shop"))
    }

    @Test("clusters that do not fit are refused")
    func otherClusters() {
        var (alpha, beta) = (Samples.alpha, Samples.beta)
        alpha.clusterText = Samples.cluster([("alpha", "10.0.0.1"), ("beta", "10.0.0.2")])
        #expect(refusal(alpha, beta).hasPrefix("alpha has a cluster in /etc/ocfs2/cluster.conf, beta has none: "))
        #expect(refusal(beta, alpha).contains("both hosts") || refusal(beta, alpha).hasPrefix("alpha has a cluster"))
        beta.clusterText = Samples.cluster([("beta", "10.0.0.2"), ("alpha", "10.0.0.1")])
        #expect(refusal(alpha, beta).hasPrefix("the hosts are in clusters that do not fit: "))
        beta.clusterText = "node:\n nonsense"
        #expect(refusal(alpha, beta).contains("of beta has errors"))
    }

    @Test("timers that somebody chose before stay, if both chose the same")
    func chosenTimers() throws {
        var (alpha, beta) = (Samples.alpha, Samples.beta)
        alpha.timers = PairTimers(ClusterTimers(threshold: 16))
        beta.timers = alpha.timers
        #expect(try Samples.plan(alpha, beta).timers.threshold == 16)
        beta.timers = nil
        #expect(refusal(alpha, beta).contains("differ"))
    }

    @Test(
        "a name with other characters makes a name of a cluster",
        arguments: [
            ("web-data_1", "webdata1"), ("---", "yoke"), ("averyveryverylongname", "averyveryverylon"),
        ])
    func clusterName(_ name: (String, String)) {
        #expect(PairCluster.name(for: name.0) == name.1)
    }

    @Test("a plan that came over the network is checked again")
    func hostilePlan() throws {
        let good = try Samples.plan()
        func problem(_ change: (inout PairPlan) -> Void) -> String? {
            var plan = good
            change(&plan)
            return plan.problem
        }
        #expect(problem { _ in } == nil)
        #expect(problem { $0.resource = "web { handlers" } != nil)
        #expect(problem { $0.mountPoint = "/srv/../etc" } != nil)
        #expect(problem { $0.mountPoint = "/srv/web x" } != nil)
        #expect(problem { $0.hosts[0].node = "a;b" } != nil)
        #expect(problem { $0.hosts[0].disk.path = "/dev/sda; }" } != nil)
        #expect(problem { $0.hosts[1].address = "10.0.0.2:1" } != nil)
        #expect(problem { $0.hosts.removeLast() } != nil)
        #expect(problem { $0.minor = -1 } != nil)
        #expect(problem { $0.port = 70000 } != nil)
        #expect(problem { $0.byteCount = .max } != nil)
        #expect(problem { $0.cluster = "a b" } != nil)
        #expect(problem { $0.timers.threshold = 0 } != nil)
    }
}

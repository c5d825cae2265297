import Administration
import Configuration
import Testing

@Suite struct ClusterProgramTests {
    static let settings = "# kept\nO2CB_ENABLED=false\nO2CB_BOOTCLUSTER=web\n"

    static func host(_ nodes: String = "add-node --ip 10.0.0.1 web hbA") throws -> ClusterHost {
        let host = try ClusterHost(settings: settings)
        host.run("add-cluster web")
        host.run(nodes)
        return host
    }

    @Test("register-cluster asks the daemon; a second registration, a refusal and a missing daemon are told")
    func register() throws {
        let host = try Self.host()
        #expect(host.run("register-cluster web") == ClusterOutcome())
        #expect(host.run("cluster-status web") == ClusterOutcome(output: "Cluster 'web' is online\n"))
        #expect(host.run("cluster-status") == ClusterOutcome(output: "Cluster 'web' is online\n"))
        #expect(host.run("cluster-status mail") == ClusterOutcome(output: "Cluster 'mail' is offline\n", status: 1))
        #expect(host.run("start-heartbeat web") == ClusterOutcome())
        host.service.refusal = "no\n"
        #expect(host.run("register-cluster web") == ClusterOutcome(errors: "o2cb: no\n", status: 1))
        host.service.current = nil
        let outcome = host.run("register-cluster web")
        #expect(outcome.status == 1)
        #expect(
            outcome.errors
                == "o2cb: Unable to access cluster service while initializing the cluster\n\thint: yoked does not run\n"
        )
    }

    @Test("unregister-cluster refuses while a heartbeat runs, and another cluster")
    func unregister() throws {
        let host = try Self.host()
        #expect(host.run("unregister-cluster web").errors == "o2cb: Cluster 'web' is not active\n")
        #expect(host.run("stop-heartbeat web").errors == "o2cb: Cluster 'web' is not active\n")
        #expect(host.run("start-heartbeat web").errors == "o2cb: Cluster 'web' not registered\n")
        host.run("register-cluster web")
        host.service.current?.regions = [.init(uuid: "U", device: "drbd0")]
        #expect(host.run("unregister-cluster web").errors == "o2cb: Atleast one heartbeat region is still active\n")
        host.service.current?.regions = []
        #expect(host.run("unregister-cluster web") == ClusterOutcome())
        #expect(host.service.calls == ["register web", "unregister web"])
    }

    @Test(
        "what no host could register is not added",
        arguments: [
            ("--ip 10.0.0.1 web n", "Choose another IP address as '10.0.0.1' is that of node 'hbA'"),
            ("--ip 10.0.0.2 --port 65535 web n", "Port should be >0 and < 65535 but is 65535"),
            ("--ip 10.0.0.2 --port 0 web n", "Port should be >0 and < 65535 but is 0"),
            ("--ip 10.0.0.2 web a/b", "Node name is invalid ; no blanks, slashes or control characters"),
        ])
    func stricterThanTheRealOne(words: String, message: String) throws {
        let host = try Self.host()
        let before = host.file
        #expect(host.run("add-node " + words) == ClusterOutcome(errors: "o2cb: \(message)\n", status: 1))
        #expect(host.file == before)
    }

    @Test("a full cluster takes no more nodes")
    func fullCluster() throws {
        let nodes = (0..<255).map { ClusterNode(name: "n\($0)", number: $0, address: "10.0.\($0 / 200).\($0 % 200)") }
        let host = try ClusterHost(file: ClusterFile(clusters: [Cluster(name: "web", nodes: nodes)]).text)
        let outcome = host.run("add-node --ip 10.1.0.0 web more")
        #expect(outcome.errors == "o2cb: Cluster is full - No more nodes can be added to it\n" && outcome.status == 1)
    }

    @Test("a fault of the file is told with its line, and the file is left alone")
    func faultyFile() throws {
        let host = try ClusterHost(file: "cluster:\n\tname web\n")
        let outcome = host.run("add-cluster mail")
        #expect(outcome.status == 1)
        #expect(
            outcome.errors.hasPrefix("o2cb: \(host.path):2: 'name web', expected 'name = value' or 'name:'\n\thint: "))
        #expect(host.file == "cluster:\n\tname web\n")
    }

    @Test("a file that cannot be stored is told with the system's reason")
    func unwritable() throws {
        let host = try ClusterHost()
        let outcome = host.run(["--config-file=/proc/none/c", "add-cluster", "web"])
        #expect(outcome.status == 1)
        #expect(
            outcome.errors == "o2cb: No such file or directory while storing the cluster configuration in file "
                + "'/proc/none/c'\n")
    }

    @Test("status is that of the service, without the kernel's drivers")
    func status() throws {
        let host = try Self.host()
        #expect(
            host.run("status")
                == ClusterOutcome(output: "Stack plugin \"o2cb\": Loaded\nChecking O2CB cluster \"web\": Offline\n"))
        host.run("register-cluster web")
        host.service.current?.timers = .yokePair
        let online = """
            Stack plugin "o2cb": Loaded
            Checking O2CB cluster "web": Online
              Heartbeat dead threshold: 4
              Network idle timeout: 5000
              Network keepalive delay: 1000
              Network reconnect delay: 2000
              Heartbeat mode: Local
            Checking O2CB heartbeat: Not active

            """
        #expect(host.run("status") == ClusterOutcome(output: online))
        host.service.current?.regions = [.init(uuid: "U", device: "drbd0")]
        #expect(host.run("status").output.hasSuffix("Checking O2CB heartbeat: Active\n"))
        #expect(host.run("online-status") == ClusterOutcome(output: "online\n"))
        host.service.current = nil
        #expect(host.run("status").output.hasPrefix("Stack plugin \"o2cb\": Not loaded\n"))
        #expect(host.run("online-status") == ClusterOutcome(output: "offline\n", status: 1))
    }

    @Test("online and offline print what the service prints; start heeds O2CB_ENABLED")
    func service() throws {
        let host = try Self.host()
        #expect(host.run("start") == ClusterOutcome())
        #expect(host.service.calls.isEmpty)
        let registered = """
            Setting cluster stack "o2cb": OK
            Registering O2CB cluster "web": OK
            Setting O2CB cluster timeouts : OK

            """
        #expect(host.run("enable") == ClusterOutcome(output: registered))
        #expect(host.settings == "# kept\nO2CB_ENABLED=true\nO2CB_BOOTCLUSTER=web\n")
        #expect(host.run("start") == ClusterOutcome(output: "Cluster web already online\n"))
        host.service.current?.regions = [.init(uuid: "U", device: "drbd0")]
        #expect(
            host.run("offline")
                == ClusterOutcome(
                    output: "Stopping O2CB cluster web: Failed\n",
                    errors: "Unable to stop cluster as heartbeat region still active\n", status: 1))
        host.service.current?.regions = []
        #expect(
            host.run("stop")
                == ClusterOutcome(output: "Stopping O2CB cluster web: Unregistering O2CB cluster \"web\": OK\n"))
    }

    @Test("without a name it is the cluster of the settings, else the only one of the file")
    func namelessCluster() throws {
        let host = try ClusterHost()
        host.run("add-cluster web")
        host.run("online")
        #expect(host.service.calls == ["register web"])
        host.run("offline")
        host.run("add-cluster mail")
        #expect(host.run("online").status == 1)
        host.run("enable mail")
        #expect(host.service.calls == ["register web", "unregister web", "register mail"])
    }

    static let dialogueHead = """
        Configuring the O2CB driver.

        This will configure the on-boot properties of the O2CB driver.
        The following questions will determine whether the driver is loaded on
        boot.  The current values will be shown in brackets ('[]').  Hitting
        <ENTER> without typing an answer will keep that current value.  Ctrl-C
        will abort.


        """

    @Test("configure asks, complains and writes")
    func dialogue() throws {
        let host = try Self.host()
        host.input = ["x", "N", "pcmk", "", "a b", "none", "6", "abc", "16", "", "", ""]
        let outcome = host.run("configure")
        #expect(
            outcome.output == Self.dialogueHead + """
                Load O2CB driver on boot (y/n) [n]: Load O2CB driver on boot (y/n) [n]: \
                Cluster stack backing O2CB [o2cb]: Cluster stack backing O2CB [o2cb]: \
                Cluster to start on boot (Enter "none" to clear) [web]: \
                Cluster to start on boot (Enter "none" to clear) [web]: \
                Specify heartbeat dead threshold (>=7) [31]: Specify heartbeat dead threshold (>=7) [31]: \
                Specify heartbeat dead threshold (>=7) [31]: \
                Specify network idle timeout in ms (>=5000) [30000]: \
                Specify network keepalive delay in ms (>=1000) [2000]: \
                Specify network reconnect delay in ms (>=2000) [2000]: Writing O2CB configuration: OK

                """)
        #expect(
            outcome.errors == """
                Invalid answer: x
                Invalid answer: pcmk
                Invalid cluster name: a b
                O2CB_HEARTBEAT_THRESHOLD cannot be less than 7
                Invalid O2CB_HEARTBEAT_THRESHOLD value: abc

                """)
        #expect(outcome.status == 0)
        #expect(
            host.settings == "# kept\nO2CB_ENABLED=false\nO2CB_BOOTCLUSTER=\nO2CB_HEARTBEAT_THRESHOLD=16\n")
    }

    @Test("configure with an end of input writes nothing; enabled, it starts the cluster")
    func dialogueEnds() throws {
        let host = try Self.host()
        host.input = ["y"]
        #expect(host.run("configure").status == 1)
        #expect(host.settings == Self.settings)
        host.input = ["Y", "", "", "", "", "", ""]
        #expect(host.run("configure").output.hasSuffix("\"web\": OK\nSetting O2CB cluster timeouts : OK\n"))
        #expect(host.service.calls == ["register web"])
    }

    @Test("timers are shown with their origin and written on demand")
    func timers() throws {
        let host = try Self.host()
        #expect(
            host.run("timers").output.hasPrefix(
                "O2CB_HEARTBEAT_THRESHOLD=31   (not in \(host.settingsPath))\nO2CB_IDLE_TIMEOUT_MS=30000   (not"))
        let fast = """
            O2CB_HEARTBEAT_THRESHOLD=4
            O2CB_IDLE_TIMEOUT_MS=5000
            O2CB_KEEPALIVE_DELAY_MS=1000
            O2CB_RECONNECT_DELAY_MS=2000

            """
        #expect(host.run("timers fast") == ClusterOutcome(output: fast))
        #expect(host.settings == Self.settings + fast)
        #expect(host.run("timers threshold=6").errors.contains("O2CB_HEARTBEAT_THRESHOLD = 6, expected at least 7"))
        #expect(host.settings.contains("O2CB_HEARTBEAT_THRESHOLD=6\n"))
        #expect(host.run("timers threshold=2").status == 1)
        #expect(host.run("timers slow").status == 1)
        #expect(host.run("timers classic").status == 0)
        #expect(host.settings.contains("O2CB_HEARTBEAT_THRESHOLD=31\n"))
    }

    @Test("the state survives its way through the control socket")
    func stateText() {
        let state = ClusterServiceState(
            cluster: "web", ownNode: 1, mode: .global, timers: .yokePair,
            regions: [.init(uuid: "19A43D24552B4D16B63ABFD4A2DAEE59", device: "drbd0")])
        #expect(ClusterServiceState(text: state.text) == state)
        #expect(ClusterServiceState(text: ClusterServiceState().text) == ClusterServiceState())
        #expect(ClusterServiceState(text: "news 1 2\ncluster\nnode x\n") == ClusterServiceState())
    }
}

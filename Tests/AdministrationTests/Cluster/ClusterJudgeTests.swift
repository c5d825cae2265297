import Administration
import Configuration
import Testing

/// The same commands on the same files by the real `o2cb`: same output, same exit status, same file. Spec: o2cb 4.
@Suite struct ClusterProgramJudgeTests {
    /// Histories of commands; words are separated by blanks, `_` alone is an empty word, `~` in a word a blank.
    static let histories: [[String]] = [
        [
            "list-clusters", "add-cluster web", "add-cluster web", "list-clusters", "add-cluster a~b", "add-cluster _",
            "add-cluster ~", "add-cluster abcdefghijklmnop", "add-cluster abcdefghijklmnopq", "add-cluster a_b",
            "add-cluster abc~defghijklmnopqrstuv", "add-cluster", "add-cluster b c d", "list-clusters x",
            "remove-cluster zz", "remove-cluster", "remove-cluster b", "list-clusters",
        ],
        [
            "add-cluster web", "add-node --ip 10.0.0.1 --number 0 web n0",
            "add-node web n1 --ip 10.0.0.2 --port 0x1e62",
            "add-node --ip=10.0.0.3 --number 010 web n8", "add-node --num 0x0b --ip 10.0.0.4 web n11",
            "add-node --number -1 --ip 10.0.0.5 web n2", "add-node --number ~12 --ip 10.0.0.6 web n12",
            "add-node --number +20 --ip 10.0.0.7 web n20", "add-node web localhost",
            "list-nodes --oneline web", "list-nodes web", "list-cluster web", "list-cluster --oneline web",
            "list-nodes web --one", "list-nodes web more", "list-nodes -- web",
            "remove-node web n1", "remove-node web zz", "remove-node zz n0", "remove-node web", "remove-node web n8 x",
            "add-node --ip 10.0.0.9 web again", "list-cluster --oneline web", "remove-cluster web", "list-clusters",
        ],
        [
            "add-cluster web", "add-node --ip 10.0.0.1 --number 5 web n0", "add-node --ip 300.0.0.2 web n2",
            "add-node --ip ::1 web n2", "add-node --ip= web n2", "add-node --ip 01.2.3.4 web n2",
            "add-node --ip 1.2.3.4 --number 255 web n2", "add-node --ip 1.2.3.4 --number 5 web n2",
            "add-node --ip 1.2.3.4 --number -5 web n2", "add-node --ip 1.2.3.4 web n0", "add-node web a..b",
            "add-node --ip x foo m", "add-node --ip x --number 255 web m", "add-node --ip 1.1.1.3 --number 5 web n0",
            "add-node --ip x web n0", "add-node --ip 1.1.1.3 --number 255 web n0", "add-node --number q --port q foo m",
            "add-node --port q --number q foo m", "add-node --number q --bogus foo m", "add-node --number 09 web m",
            "add-node --number 3x web m", "add-node --ip 1.1.1.1 --number 12~ web m", "add-node --ip 1.1.1.1 web",
            "add-node --ip", "add-node web b --bogus", "add-node web -x", "add-node --ip 1.1.1.1 web _",
            "add-node --number _ --ip 1.1.1.1 web zero", "add-node", "list-cluster --oneline web",
        ],
        [
            "add-cluster web", "heartbeat-mode web GLOBAL", "heartbeat-mode web global", "heartbeat-mode zz local",
            "heartbeat-mode web", "heartbeat-mode zz foo", "add-heartbeat web 19A43D24552B4D16B63ABFD4A2DAEE59",
            "add-heartbeat web 19A43D24552B4D16B63ABFD4A2DAEE59", "add-heartbeat zz A", "add-heartbeat web",
            "list-heartbeats web", "list-heartbeats --oneline web", "list-cluster web", "list-cluster --oneline web",
            "add-cluster mail", "add-node --ip 1.1.1.1 mail m", "add-node --ip 1.1.1.2 web w",
            "remove-heartbeat web xx", "remove-heartbeat zz A", "remove-heartbeat web",
            "remove-heartbeat web 19A43D24552B4D16B63ABFD4A2DAEE59", "heartbeat-mode web local extra",
            "list-heartbeats web", "list-heartbeats zz", "list-nodes zz", "list-cluster zz", "list-cluster _",
            "list-cluster", "list-nodes", "list-heartbeats", "list-nodes --bad web", "list-nodes --oneline=3 web",
            "list-nodes -o web",
        ],
        [
            "add-cluster web", "register-cluster zz", "register-cluster web", "unregister-cluster web",
            "start-heartbeat web", "start-heartbeat zz", "stop-heartbeat web", "cluster-status", "cluster-status web",
            "cluster-status a b", "register-cluster", "unregister-cluster", "start-heartbeat", "stop-heartbeat",
        ],
        [
            "-v add-cluster web", "-v add-cluster web", "-v add-node --ip 1.2.3.4 web nn", "-v list-nodes web",
            "-v heartbeat-mode web global", "-v add-heartbeat web U", "-v remove-heartbeat web U",
            "--verbose list-clusters",
            "-v cluster-status", "-v remove-node web nn", "-v remove-cluster web", "-- list-clusters", "-V",
            "--version",
            "-vV", "-hV", "-V foo",
        ],
    ]

    static func words(_ line: String) -> [String] {
        line.split(separator: " ").map { $0 == "_" ? "" : String($0.replacing("~", with: " ")) }
    }

    @Test(
        "a history of commands prints and leaves what the real program does",
        .enabled(if: RealClusterProgram.isInstalled), arguments: histories.indices)
    func sameHistory(_ index: Int) throws {
        let host = try ClusterHost()
        host.service.current = nil
        let real = RealClusterProgram(file: host.root + "/real.conf")
        for line in Self.histories[index] {
            var expected = real.run(Self.words(line))
            expected.errors = expected.errors.replacing(real.file, with: host.path)
            var outcome = host.run(Self.words(line))
            // The reason why no daemon answers is ours.
            outcome.errors = outcome.errors.replacing("\n\thint: yoked does not run", with: "")
            #expect(outcome == expected, "\(line)")
            #expect(host.file == ClusterHost.contents(real.file), "\(line)")
        }
    }

    @Test(
        "a wrong command line prints what the real program does, and then Yoke's own verbs",
        .enabled(if: RealClusterProgram.isInstalled),
        arguments: [
            "", "-h", "--help", "foo", "LIST-CLUSTERS", "list-cl", "--badopt list-clusters", "-x", "--ver", "--help=3",
            "-vVx",
            "--config-file",
        ])
    func usage(line: String) throws {
        let host = try ClusterHost()
        let expected = RealClusterProgram(file: host.root + "/real.conf").run(Self.words(line))
        let outcome = host.run(Self.words(line))
        let parts = outcome.errors.split(separator: "\nCommands of the service, in Yoke:\n")
        #expect(try #require(parts.first) == expected.errors.dropLast())
        #expect(outcome.errors.contains("  timers              Shows the timers"))
        #expect(outcome.status == expected.status && outcome.output == expected.output)
    }
}

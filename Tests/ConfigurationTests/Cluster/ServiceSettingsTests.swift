import Configuration
import Testing

/// Spec: o2cb 3.1.
@Suite struct ServiceSettingsTests {
    static let debian = """
        # A comment with O2CB_ENABLED=yes
        O2CB_ENABLED=false
        O2CB_BOOTCLUSTER=ocfs2

        O2CB_HEARTBEAT_THRESHOLD=31
        O2CB_IDLE_TIMEOUT_MS=30000
        O2CB_KEEPALIVE_DELAY_MS=2000
        O2CB_RECONNECT_DELAY_MS=2000

        """

    static func settings(_ text: String) -> ServiceSettings {
        ServiceSettings(bytes: Array(text.utf8), path: "/etc/default/o2cb")
    }

    @Test("Debian's file is read, and written unchanged")
    func shipped() {
        let settings = Self.settings(Self.debian)
        #expect(settings.timers == .kernel && !settings.isEnabled && settings.bootCluster == "ocfs2")
        #expect(!settings.saysNothingOfTimers && settings.stack == "o2cb")
        #expect(settings.text == Self.debian)
        #expect(settings.problems.isEmpty)
    }

    static let values: [(String, String?)] = [
        ("O2CB_BOOTCLUSTER=web", "web"), ("O2CB_BOOTCLUSTER=\"web\"", "web"), ("O2CB_BOOTCLUSTER='web'", "web"),
        ("  export O2CB_BOOTCLUSTER=web   # mine", "web"), ("O2CB_BOOTCLUSTER=web;", "web"),
        ("O2CB_BOOTCLUSTER=w\\eb", "web"), ("O2CB_BOOTCLUSTER=w'e'\"b\"", "web"), ("O2CB_BOOTCLUSTER=", nil),
        ("O2CB_BOOTCLUSTER=\"\"", nil), ("#O2CB_BOOTCLUSTER=web", nil), ("O2CB_BOOTCLUSTER =web", nil),
        ("O2CB_BOOTCLUSTER=old\nO2CB_BOOTCLUSTER=web\r", "web"), ("O2CB_BOOTCLUSTER=a#b", "a#b"),
        ("O2CB_BOOTCLUSTER=$NAME", nil), ("O2CB_BOOTCLUSTER='$NAME'", "$NAME"), ("O2CB_BOOTCLUSTER=a b", nil),
        ("O2CB_BOOTCLUSTER=\"open", nil), ("O2CB_BOOTCLUSTER=\"a\\\"b\"", "a\"b"),
    ]

    @Test("values are those that a shell would assign", arguments: values)
    func shellSyntax(text: String, value: String?) {
        #expect(Self.settings(text).bootCluster == value)
    }

    @Test("what only a shell could tell is said, with its line")
    func expansion() {
        let settings = Self.settings("x\nO2CB_IDLE_TIMEOUT_MS=$((5*1000))\n")
        #expect(settings.timers == .kernel)
        #expect(settings.problems.map(\.kind) == [.invalidValue])
        #expect(settings.problems.first?.lines.first?.hasPrefix("/etc/default/o2cb:2: ") == true)
    }

    @Test("a change keeps every other line, the comments and the place")
    func change() {
        var settings = Self.settings("# mine\n  export O2CB_ENABLED=\"false\"  # why\nother line\n")
        settings.set("O2CB_ENABLED", to: "true")
        settings.set("O2CB_BOOTCLUSTER", to: "a b")
        #expect(
            settings.text == "# mine\n  export O2CB_ENABLED=true  # why\nother line\nO2CB_BOOTCLUSTER='a b'\n")
        #expect(Self.settings(settings.text).bootCluster == "a b")
    }

    @Test("without a word in the file the kernel's timers hold; Yoke's are written, never assumed")
    func defaults() {
        var settings = Self.settings("")
        #expect(settings.saysNothingOfTimers && settings.timers == .kernel)
        settings.set(.yokePair)
        #expect(Self.settings(settings.text).timers == .yokePair && settings.problems.isEmpty)
        #expect(
            settings.text == """
                O2CB_HEARTBEAT_THRESHOLD=4
                O2CB_IDLE_TIMEOUT_MS=5000
                O2CB_KEEPALIVE_DELAY_MS=1000
                O2CB_RECONNECT_DELAY_MS=2000

                """)
    }

    @Test("the times that follow from the threshold")
    func derivedTimes() {
        #expect(ClusterTimers.kernel.deadTimeMilliseconds == 62000)
        #expect(ClusterTimers.kernel.writeTimeoutMilliseconds == 60000)
        #expect(ClusterTimers.kernel.quorumDelayMilliseconds == 66000)
        #expect(ClusterTimers(threshold: 10).writeTimeoutMilliseconds == 18000)
        // A death of a Yoke host is noticed soon enough for a freeze of at most 10 s.
        #expect(ClusterTimers.yokePair.deadTimeMilliseconds == 8000)
    }

    static let bounds: [(String, Diagnostic.Severity?)] = [
        ("O2CB_HEARTBEAT_THRESHOLD=7", nil), ("O2CB_HEARTBEAT_THRESHOLD=6", .warning),
        ("O2CB_HEARTBEAT_THRESHOLD=2", .error), ("O2CB_HEARTBEAT_THRESHOLD=x", .error),
        ("O2CB_IDLE_TIMEOUT_MS=4999", .warning), ("O2CB_IDLE_TIMEOUT_MS=2000", .error),
        ("O2CB_KEEPALIVE_DELAY_MS=999", .warning), ("O2CB_KEEPALIVE_DELAY_MS=30000", .error),
        ("O2CB_RECONNECT_DELAY_MS=1999", .warning), ("O2CB_RECONNECT_DELAY_MS=0", .error),
        ("O2CB_IDLE_TIMEOUT_MS=", nil), ("O2CB_IDLE_TIMEOUT_MS=99999999999999999999", .error),
    ]

    @Test("below the dialogue's minimum is a warning, what a kernel refuses an error", arguments: bounds)
    func minimums(text: String, severity: Diagnostic.Severity?) {
        let problems = Self.settings(text).problems
        #expect(problems.map(\.severity) == (severity.map { [$0] } ?? []))
        if severity != nil { #expect(problems.first?.location?.line == 1) }
    }

    @Test("the file is the one that the service script would take")
    func choice() {
        func path(_ files: [String]) -> String {
            let source = MemoryConfigurationSource(files: Dictionary(uniqueKeysWithValues: files.map { ($0, "") }))
            return ServiceSettings.load(root: "/", source: source).path
        }
        #expect(path(["/etc/sysconfig/o2cb", "/etc/default/o2cb"]) == "/etc/sysconfig/o2cb")
        #expect(path(["/etc/sysconfig", "/etc/default/o2cb"]) == "/etc/default/o2cb")
        #expect(path(["/etc/sysconfig"]) == "/etc/sysconfig/o2cb")
        #expect(path([]) == "/etc/default/o2cb")
    }
}

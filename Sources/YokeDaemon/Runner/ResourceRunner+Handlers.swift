internal import EngineKit
internal import LinuxReactor
internal import Replication

// Handlers. The kernel calls `drbdadm NAME minor-N`, which runs the configured command; here the command is run at once.
// Spec: drbd-disk-and-state 17.
extension ResourceRunner {
    /// A missing program and a killed one count as exit status 0, as with the kernel's helper.
    func run(_ call: HandlerCall) {
        if call.name == "fence-peer", fencePeer?(call.id) ?? false { return }
        let record = call.volume.flatMap { self.record(of: $0) }
        var peer = PeerFacts()
        peer.minors = volumes.map(\.minor)
        peer.minor = record?.minor
        if let remote = network.remote {
            switch remote {
            case .ipv4: peer.family = "ipv4"
            case .ipv6: peer.family = "ipv6"
            case .unix: peer.family = ""
            }
            peer.address = remote.host
        }
        let (facts, name, host) = (peer, self.name, self.host)
        let accepted = reactor.offload {
            host.handler(call.name, resource: name, volume: call.volume, peer: facts)
        } completion: { [self] command in
            guard let command else { return handle(.handlerExited(call.id, status: 0)) }
            _ = reactor.spawn(command) { [self] exit in
                handle(.handlerExited(call.id, status: Self.status(of: exit, self, call.name)))
            }
        }
        if !accepted {
            reactor.addTimer(at: reactor.now) { [self] in handle(.handlerExited(call.id, status: 0)) }
        }
    }

    private static func status(of exit: ChildExit, _ runner: ResourceRunner, _ name: String) -> Int32 {
        switch exit {
        case .exited(let status): return status
        case .killed(let signal):
            runner.log(LogRecord(.warning, "drbd \(runner.name): handler \(name) was killed by signal \(signal)"))
            return 0
        case .notStarted(let code):
            runner.log(
                LogRecord(
                    .error, "drbd \(runner.name): handler \(name) did not start: \(SystemError.text(of: code))"))
            return 0
        }
    }

    // MARK: Log

    /// Adds what only the daemon knows, the minor, to the prefix of volumes: `drbd r0/0 drbd1: `.
    func log(_ record: LogRecord) {
        var record = record
        let prefix = "drbd \(name)/"
        if record.text.hasPrefix(prefix) {
            let rest = record.text.dropFirst(prefix.count)
            let digits = rest.prefix { $0.isNumber }
            if let number = UInt16(digits), rest.dropFirst(digits.count).hasPrefix(":"),
                let volume = self.record(of: VolumeNumber(number))
            {
                record.text = "\(prefix)\(digits) drbd\(volume.minor)\(rest.dropFirst(digits.count))"
            }
        }
        record.text = withHelperPath(record.text)
        if record.text.contains("Split-Brain detected, dropping") { trouble = "Split-Brain detected" }
        host.log(record)
    }

    /// `helper command: NAME r0/0` in the words of the kernel: `helper command: /sbin/drbdadm NAME minor-1`.
    private func withHelperPath(_ text: String) -> String {
        let marker = "helper command: "
        guard let range = text.firstRange(of: marker) else { return text }
        var words = text[range.upperBound...].split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard words.count >= 2 else { return text }
        if words[1].hasPrefix("\(name)/"), let number = UInt16(words[1].dropFirst(name.utf8.count + 1)),
            let volume = record(of: VolumeNumber(number))
        {
            words[1] = "minor-\(volume.minor)"
        }
        return text[..<range.upperBound] + "/sbin/drbdadm " + words.joined(separator: " ")
    }
}

internal import EngineKit
internal import LinuxReactor
internal import Replication

// Handlers. The kernel calls `drbdadm NAME minor-N`, which runs the configured command; here the command is run at once,
// and the log says what the kernel would have called. Spec: drbd-disk-and-state 17.
extension ResourceRunner {
    /// A missing program and a killed one count as exit status 0, as with the kernel's helper.
    func run(_ call: HandlerCall) {
        let record = call.volume.flatMap { self.record(of: $0) }
        let object = record.map { "minor-\($0.minor)" } ?? name
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
        log(LogRecord(.info, "\(logPrefix(record))helper command: /sbin/drbdadm \(call.name) \(object)"))
        let facts = peer
        let (name, host) = (self.name, self.host)
        let accepted = reactor.offload {
            host.handler(call.name, resource: name, volume: call.volume, peer: facts)
        } completion: { [self] command in
            guard let command else { return handlerEnded(call, record, object, status: 0) }
            _ = reactor.spawn(command) { [self] exit in
                handlerEnded(call, record, object, status: Self.status(of: exit, self, call.name))
            }
        }
        if !accepted { reactor.addTimer(at: reactor.now) { [self] in handlerEnded(call, record, object, status: 0) } }
    }

    private func handlerEnded(_ call: HandlerCall, _ record: VolumeRecord?, _ object: String, status: Int32) {
        let raw = String(status << 8, radix: 16)
        log(
            LogRecord(
                .info,
                "\(logPrefix(record))helper command: /sbin/drbdadm \(call.name) \(object) exit code \(status) (0x\(raw))"))
        handle(.handlerExited(call.id, status: status))
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

    private func logPrefix(_ record: VolumeRecord?) -> String {
        record.map { "drbd \(name)/\($0.number): " } ?? "drbd \(name): "
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
        if record.text.contains("Split-Brain detected") { trouble = "Split-Brain detected" }
        host.log(record)
    }
}

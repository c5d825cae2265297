internal import Configuration
internal import EngineKit
internal import LinuxReactor

/// Whether a reference address answers, by any means that needs no service there: an echo, or a refused connection.
///
/// Confined to the reactor's thread.
final class ReferenceProbe {
    /// The discard port: hardly anybody listens there, so a host that lives refuses.
    private static let port: UInt16 = 9

    private var completion: ((Bool) -> Void)?
    private var knock: PeerProbe?
    private var waiting = 2

    init(
        _ reference: SocketAddress, reactor: Reactor, timeout: Duration, completion: @escaping (Bool) -> Void
    ) {
        self.completion = completion
        knock = PeerProbe(reference.withPort(Self.port), from: nil, reactor: reactor, timeout: timeout) {
            [weak self] outcome in self?.ended(outcome != .silent)
        }
        let ping = ChildCommand(
            arguments: ["ping", "-n", "-q", "-c", "1", "-W", "1", reference.host], environment: ["PATH=/usr/bin:/bin"],
            workingDirectory: "/")
        _ = reactor.spawn(ping) { [weak self] exit in self?.ended(exit == .exited(status: 0)) }
    }

    func cancel() {
        completion = nil
        knock?.cancel()
    }

    private func ended(_ isReached: Bool) {
        waiting -= 1
        guard isReached || waiting == 0 else { return }
        let told = completion
        completion = nil
        told?(isReached)
    }
}

/// The default gateway of this host.
enum DefaultGateway {
    /// Nil if there is none.
    static func find() -> SocketAddress? {
        guard let bytes = try? FileConfigurationSource().read("/proc/net/route") else { return nil }
        return parse(String(decoding: bytes, as: UTF8.self))
    }

    /// The first of `/proc/net/route`: columns of hexadecimal numbers, addresses with the bytes turned round.
    static func parse(_ table: String) -> SocketAddress? {
        for line in table.split(separator: "\n").dropFirst() {
            let columns = line.split(whereSeparator: { $0 == "\t" || $0 == " " })
            guard columns.count >= 8, UInt32(columns[1], radix: 16) == 0, UInt32(columns[7], radix: 16) == 0,
                let gateway = UInt32(columns[2], radix: 16), gateway != 0
            else { continue }
            return .ipv4(address: gateway.byteSwapped, port: 0)
        }
        return nil
    }
}

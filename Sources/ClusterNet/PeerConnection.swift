internal import EngineKit
internal import O2Layout

/// One peer of a ``ClusterNet``. Spec: o2cb 12.5.
final class PeerConnection {
    enum State: Equatable {
        /// Not live.
        case down
        /// Live; no valid connection yet, requests wait.
        case connecting
        case valid
        /// Valid, but nothing was heard for the idle timeout.
        case silent
        /// Live; the connection was lost, requests fail.
        case lost
    }

    struct Request {
        var header: NetHeader
        var payload: [UInt8]
        var completion: (NetAnswer) -> Void
    }

    let address: NodeAddress
    var state = State.down
    var stream: NetStreamID?
    var hasHandshake = false
    /// The last handshake was that of a Yoke host.
    var isYoke = false
    /// Received and not yet understood.
    var input: [UInt8] = []
    /// Sent, by number.
    var outstanding: [UInt32: (NetAnswer) -> Void] = [:]
    /// Waiting for a valid connection.
    var waiting: [Request] = []
    /// Timers compare it: an older one does nothing.
    var heard: UInt64 = 0
    var attempts: UInt64 = 0
    var expiry: UInt64 = 0
    var stillUp: UInt64 = 0
    var isExpiryRunning = false
    var lastAttempt: Instant?
    var lastHeard: Instant?

    init(address: NodeAddress) {
        self.address = address
    }

    /// The lowest number that is free, as the field does it.
    func freeNumber() -> UInt32 {
        var number: UInt32 = 0
        while outstanding[number] != nil { number += 1 }
        return number
    }
}

/// What became of a request. Spec: o2cb 11.2, 11.5.
package enum NetAnswer: Equatable, Sendable {
    case status(Int32)
    case noHandler
    case overflow
    /// The connection died with the request outstanding (EHOSTDOWN), or there is none (ENOTCONN).
    case hostDown
}

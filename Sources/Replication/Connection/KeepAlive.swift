internal import DRBDLayout
internal import EngineKit

// P_PING and P_PING_ACK: signs of life, and a barrier behind the acknowledgements on the meta socket.
// Spec: drbd-wire 20.

extension ReplicationEngine {
    func startKeepAlive() {
        connection.pings = RingQueue()
        connection.pingAckDueAt = nil
        connection.pingAt = now + connection.pingInterval
    }

    func stopKeepAlive() {
        connection.pings = RingQueue()
        connection.pingAckDueAt = nil
        connection.pingAt = nil
    }

    /// Sends P_PING; `body` runs when its answer has come, behind all that the peer sent before. On loss of the
    /// connection it never runs.
    func ping(_ body: @escaping (ReplicationEngine) -> Void) {
        guard connection.isLive else { return }
        sendEmpty(.ping, on: connection.meta)
        connection.pings.append(body)
        if connection.pingAckDueAt == nil { connection.pingAckDueAt = now + connection.pingTimeout }
    }

    /// Wants to know whether the peer is there.
    func requestPing() {
        guard connection.pings.isEmpty else { return }
        ping { _ in }
    }

    /// False: nobody had asked.
    func receivePingAck() -> Bool {
        guard let body = connection.pings.popFirst() else { return false }
        connection.pingAckDueAt = connection.pings.isEmpty ? nil : now + connection.pingTimeout
        body(self)
        changed()
        return true
    }

    /// The connection's share of a tick.
    func connectionTick() {
        if let due = connection.establishment?.nextDeadline, due <= now { feed(.tick) }
        checkPhaseDeadline()
        checkSending()
        checkKeepAlive()
    }

    private func checkKeepAlive() {
        guard connection.isLive else { return }
        if let due = connection.pingAckDueAt, due <= now {
            // Whatever came since counts as a sign of life.
            let silence = connection.lastReceived + connection.pingTimeout
            if silence > now {
                connection.pingAckDueAt = silence
            } else {
                log(.error, "PingAck did not arrive in time.")
                loseConnection(.networkFailure)
                return
            }
        }
        if let due = connection.pingAt, due <= now {
            let quietUntil = connection.lastReceived + connection.pingInterval
            if quietUntil > now {
                connection.pingAt = quietUntil
            } else {
                requestPing()
                connection.pingAt = now + connection.pingInterval
            }
        }
    }
}

internal import DRBDLayout
internal import EngineKit

// A peer that answers pings and nothing else is given up: the oldest request, else the oldest barrier, may be without
// answer for ko-count * timeout. Spec: drbd-wire 20.

extension ReplicationEngine {
    func armRequestCheck(_ volume: Volume) {
        guard volume.requestCheckAt == nil, let limit = connection.requestTimeout else { return }
        volume.requestCheckAt = max(now + limit, volume.requestCheckNotBefore)
    }

    func checkRequests(_ volume: Volume) {
        guard let due = volume.requestCheckAt, due <= now else { return }
        volume.requestCheckAt = nil
        guard connection.isLive, let limit = connection.requestTimeout, !isSuspended else { return }
        let request = oldestRequest(of: volume)
        let barrier = oldestBarrier()
        if let request, request + limit <= now {
            log(
                .warning, volume,
                "Remote failed to finish a request within \((now - request).milliseconds)ms > \(limitText)")
            loseConnection(.timeout)
        } else if let barrier, barrier + limit <= now {
            log(
                .warning, volume,
                "Remote failed to answer a P_BARRIER (sent \((now - barrier).milliseconds) ms ago) within \(limitText)")
            loseConnection(.timeout)
        } else if let next = [request, barrier].compactMap({ $0 }).min() {
            volume.requestCheckAt = max(next + limit, volume.requestCheckNotBefore)
        }
    }

    private var limitText: String {
        guard let network = connection.network else { return "" }
        return "ko-count (\(network.koCount)) * timeout (\(network.timeout) * 0.1s)"
    }

    /// When the oldest request was sent that the peer has not answered.
    private func oldestRequest(of volume: Volume) -> Instant? {
        guard volume.counters.peerPending > 0 || !volume.postponed.isEmpty else { return nil }
        var oldest: Instant?
        for index in requests.indexes where requests[index].volume === volume {
            guard !requests[index].flags.isDisjoint(with: [.peerPending, .postponed]) else { continue }
            oldest = min(oldest ?? requests[index].sentAt, requests[index].sentAt)
        }
        return oldest
    }

    /// When the oldest P_BARRIER was sent whose answer can be expected.
    private func oldestBarrier() -> Instant? {
        for place in 0..<log.epochs.count {
            let epoch = log.epochs[place]
            guard let sentAt = epoch.barrierSentAt else { return nil }
            if epoch.removedCount == 0 { return sentAt }
        }
        return nil
    }
}

extension Duration {
    fileprivate var milliseconds: UInt64 { nanosecondsClamped / 1_000_000 }
}

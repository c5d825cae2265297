internal import DRBDLayout
package import EngineKit
internal import Glibc
internal import LinuxReactor
package import Replication

/// Why a volume cannot be opened. Spec: drbd-disk-and-state 11.2.
package enum OpenRefusal: Error, Equatable, Sendable {
    case noSuchVolume
    /// Neither writing (EROFS) nor reading (EMEDIUMTYPE): a Secondary is not opened.
    case isSecondary
    /// The size is not known yet: no disk and no peer.
    case hasNoSize
    case isEnding

    package var errno: Int32 {
        switch self {
        case .noSuchVolume, .hasNoSize: ENXIO
        case .isSecondary: EROFS
        case .isEnding: ESHUTDOWN
        }
    }
}

/// The door for applications: an NBD session, the device node, later the filesystem. On the reactor's thread.
extension ResourceRunner {
    /// Opens a volume; from now on the resource cannot be demoted until ``closeVolume(_:)``.
    package func openVolume(_ volume: VolumeNumber) throws(OpenRefusal) {
        guard let record = record(of: volume), !isEnding else { throw isEnding ? .isEnding : .noSuchVolume }
        if let refusal = openRefusal(volume) { throw refusal }
        record.openCount += 1
        if record.openCount == 1 { handle(.opened(volume)) }
    }

    package func closeVolume(_ volume: VolumeNumber) {
        guard let record = record(of: volume) else { return }
        precondition(record.openCount > 0, "\(name)/\(volume) closed more often than opened")
        record.openCount -= 1
        if record.openCount == 0 { handle(.closed(volume)) }
    }

    /// Why ``openVolume(_:)`` would refuse now; nil if it would not.
    package func openRefusal(_ volume: VolumeNumber) -> OpenRefusal? {
        guard let snapshot = snapshot(of: volume) else { return .noSuchVolume }
        guard snapshot.state.role == .primary else { return .isSecondary }
        return snapshot.sizeSectors == 0 ? .hasNoSize : nil
    }

    package func snapshot(of volume: VolumeNumber) -> VolumeSnapshot? {
        engine.snapshot(now: reactor.now).volumes.first { $0.volume == volume }
    }

    /// Submits one request of `user`, who gets `token` back when it is done. `data` as in ``ApplicationRequest``.
    package func submit(
        _ kind: ApplicationRequest.Kind, volume: VolumeNumber, sector: UInt64, byteCount: Int, data: IOSlice?,
        token: UInt64, user: any VolumeUser
    ) {
        let id = requests.add(user, token: token)
        handle(
            .request(
                ApplicationRequest(
                    id: id, volume: volume, kind: kind, sector: sector, byteCount: byteCount, data: data)))
    }

    func complete(_ id: RequestID, errno: Int32) {
        let (user, token) = requests.take(id)
        user.requestCompleted(token: token, errno: errno)
    }
}

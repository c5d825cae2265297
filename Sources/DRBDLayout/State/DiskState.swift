/// State of a disk. The order matters: the rules compare by number. Spec: drbd-disk-and-state 10.
@frozen @usableFromInline
package enum DiskState: UInt8, CaseIterable, Sendable {
    case diskless = 0
    /// Reading metadata.
    case attaching = 1
    /// On the way to diskless.
    case failed = 2
    /// Attached while connected; waiting for the handshake.
    case negotiating = 3
    /// Target of a resync, or never synced.
    case inconsistent = 4
    /// Consistent, but known to be old.
    case outdated = 5
    /// Only for the peer's disk.
    case unknown = 6
    /// Up to date or outdated; unknown until connected or fenced.
    case consistent = 7
    case upToDate = 8
}

extension DiskState: Comparable {
    @inlinable
    package static func < (left: DiskState, right: DiskState) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension DiskState: CustomStringConvertible {
    /// The classic name, for logs and status.
    package var name: String {
        switch self {
        case .diskless: "Diskless"
        case .attaching: "Attaching"
        case .failed: "Failed"
        case .negotiating: "Negotiating"
        case .inconsistent: "Inconsistent"
        case .outdated: "Outdated"
        case .unknown: "DUnknown"
        case .consistent: "Consistent"
        case .upToDate: "UpToDate"
        }
    }

    @usableFromInline package var description: String { name }
}

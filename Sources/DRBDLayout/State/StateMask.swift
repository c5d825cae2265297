/// Fields of the state word, each with all of its bits. Spec: drbd-disk-and-state 10.
///
///     bits  0-1  role    2-3  peer    4-8  conn    9-12  disk    13-16  pdsk    17  susp    18  aftr_isp
///     19  peer_isp    20  user_isp    21  susp_nod    22  susp_fen
@usableFromInline
package struct StateMask: OptionSet, Hashable, Sendable {
    @usableFromInline package let rawValue: UInt32

    @inlinable
    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    @inlinable package static var role: StateMask { StateMask(rawValue: 0x3) }
    @inlinable package static var peer: StateMask { StateMask(rawValue: 0xc) }
    @inlinable package static var conn: StateMask { StateMask(rawValue: 0x1f0) }
    @inlinable package static var disk: StateMask { StateMask(rawValue: 0x1e00) }
    @inlinable package static var pdsk: StateMask { StateMask(rawValue: 0x1_e000) }
    /// I/O suspended by the admin.
    @inlinable package static var susp: StateMask { StateMask(rawValue: 0x2_0000) }
    /// Resync paused: another resource must go first.
    @inlinable package static var aftrIsp: StateMask { StateMask(rawValue: 0x4_0000) }
    /// Resync paused by the peer.
    @inlinable package static var peerIsp: StateMask { StateMask(rawValue: 0x8_0000) }
    /// Resync paused by the admin here.
    @inlinable package static var userIsp: StateMask { StateMask(rawValue: 0x10_0000) }
    /// I/O suspended: no data accessible.
    @inlinable package static var suspNod: StateMask { StateMask(rawValue: 0x20_0000) }
    /// I/O suspended: fence-peer pending.
    @inlinable package static var suspFen: StateMask { StateMask(rawValue: 0x40_0000) }

    @inlinable package static var all: StateMask { StateMask(rawValue: 0x7f_ffff) }

    private static let wideFields: [StateMask] = [.role, .peer, .conn, .disk, .pdsk]

    /// Whether no field is taken in part and no bit lies outside of the word.
    package var hasWholeFields: Bool {
        guard isSubset(of: .all) else { return false }
        return Self.wideFields.allSatisfy { isDisjoint(with: $0) || isSuperset(of: $0) }
    }
}

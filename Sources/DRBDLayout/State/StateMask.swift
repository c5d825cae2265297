/// Fields of the state word, each with all of its bits. Spec: drbd-disk-and-state 10.
///
///     bits  0-1  role    2-3  peer    4-8  conn    9-12  disk    13-16  pdsk    17  susp    18  aftr_isp
///     19  peer_isp    20  user_isp    21  susp_nod    22  susp_fen
package struct StateMask: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    package static let role = StateMask(rawValue: 0x3)
    package static let peer = StateMask(rawValue: 0xc)
    package static let conn = StateMask(rawValue: 0x1f0)
    package static let disk = StateMask(rawValue: 0x1e00)
    package static let pdsk = StateMask(rawValue: 0x1_e000)
    /// I/O suspended by the admin.
    package static let susp = StateMask(rawValue: 0x2_0000)
    /// Resync paused: another resource must go first.
    package static let aftrIsp = StateMask(rawValue: 0x4_0000)
    /// Resync paused by the peer.
    package static let peerIsp = StateMask(rawValue: 0x8_0000)
    /// Resync paused by the admin here.
    package static let userIsp = StateMask(rawValue: 0x10_0000)
    /// I/O suspended: no data accessible.
    package static let suspNod = StateMask(rawValue: 0x20_0000)
    /// I/O suspended: fence-peer pending.
    package static let suspFen = StateMask(rawValue: 0x40_0000)

    package static let all = StateMask(rawValue: 0x7f_ffff)

    private static let wideFields: [StateMask] = [.role, .peer, .conn, .disk, .pdsk]

    /// Whether no field is taken in part and no bit lies outside of the word.
    package var hasWholeFields: Bool {
        guard isSubset(of: .all) else { return false }
        return Self.wideFields.allSatisfy { isDisjoint(with: $0) || isSuperset(of: $0) }
    }
}

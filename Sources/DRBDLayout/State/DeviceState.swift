package import LayoutKit

/// The state word of a volume: what P_STATE carries and what rules decide about. Bits: ``StateMask``.
/// Spec: drbd-disk-and-state 10.
///
/// The names of the fields are those of logs and chapters.
package struct DeviceState: Hashable, Sendable {
    package var role: Role
    /// Role of the peer.
    package var peer: Role
    package var conn: ConnectionState
    package var disk: DiskState
    /// Disk of the peer.
    package var pdsk: DiskState
    /// I/O suspended by the admin.
    package var susp: Bool
    /// Resync paused: another resource must go first.
    package var aftrIsp: Bool
    /// Resync paused by the peer.
    package var peerIsp: Bool
    /// Resync paused by the admin here.
    package var userIsp: Bool
    /// I/O suspended: no data accessible.
    package var suspNod: Bool
    /// I/O suspended: fence-peer pending.
    package var suspFen: Bool

    package init(
        role: Role = .secondary, peer: Role = .unknown, conn: ConnectionState = .standAlone,
        disk: DiskState = .diskless, pdsk: DiskState = .unknown, susp: Bool = false, aftrIsp: Bool = false,
        peerIsp: Bool = false, userIsp: Bool = false, suspNod: Bool = false, suspFen: Bool = false
    ) {
        self.role = role
        self.peer = peer
        self.conn = conn
        self.disk = disk
        self.pdsk = pdsk
        self.susp = susp
        self.aftrIsp = aftrIsp
        self.peerIsp = peerIsp
        self.userIsp = userIsp
        self.suspNod = suspNod
        self.suspFen = suspFen
    }

    /// Throws for a number that is no role, connection state or disk state. Bits above the word are ignored: a later
    /// peer may give them a meaning.
    package init(rawValue: UInt32) throws(LayoutError) {
        guard let role = Role(rawValue: UInt8(rawValue & 3)) else {
            throw Self.bad("role", rawValue & 3, "0 to 2")
        }
        guard let peer = Role(rawValue: UInt8(rawValue >> 2 & 3)) else {
            throw Self.bad("peer", rawValue >> 2 & 3, "0 to 2")
        }
        guard let conn = ConnectionState(rawValue: UInt8(rawValue >> 4 & 31)) else {
            throw Self.bad("conn", rawValue >> 4 & 31, "0 to 23")
        }
        guard let disk = DiskState(rawValue: UInt8(rawValue >> 9 & 15)) else {
            throw Self.bad("disk", rawValue >> 9 & 15, "0 to 8")
        }
        guard let pdsk = DiskState(rawValue: UInt8(rawValue >> 13 & 15)) else {
            throw Self.bad("pdsk", rawValue >> 13 & 15, "0 to 8")
        }
        let bits = StateMask(rawValue: rawValue)
        self.init(
            role: role, peer: peer, conn: conn, disk: disk, pdsk: pdsk, susp: bits.contains(.susp),
            aftrIsp: bits.contains(.aftrIsp), peerIsp: bits.contains(.peerIsp), userIsp: bits.contains(.userIsp),
            suspNod: bits.contains(.suspNod), suspFen: bits.contains(.suspFen))
    }

    private static func bad(_ field: String, _ found: UInt32, _ expected: String) -> LayoutError {
        .badValue(field: field, found: UInt64(found), expected: expected)
    }

    /// The word, as it is sent.
    package var rawValue: UInt32 {
        var word = UInt32(role.rawValue)
        word |= UInt32(peer.rawValue) << 2
        word |= UInt32(conn.rawValue) << 4
        word |= UInt32(disk.rawValue) << 9
        word |= UInt32(pdsk.rawValue) << 13
        var flags: StateMask = []
        if susp { flags.insert(.susp) }
        if aftrIsp { flags.insert(.aftrIsp) }
        if peerIsp { flags.insert(.peerIsp) }
        if userIsp { flags.insert(.userIsp) }
        if suspNod { flags.insert(.suspNod) }
        if suspFen { flags.insert(.suspFen) }
        return word | flags.rawValue
    }

    /// Application I/O is held for any reason.
    package var isSuspended: Bool { susp || suspNod || suspFen }
}

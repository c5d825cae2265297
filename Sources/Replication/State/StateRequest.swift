package import DRBDLayout

/// A wish for a state change: the fields that shall change and their values; nil leaves a field alone.
///
/// The same thing travels as (mask, value) in the two-step requests. Spec: drbd-wire 8.4.
package struct StateRequest: Equatable, Sendable {
    package var role: Role?
    package var peer: Role?
    package var conn: ConnectionState?
    package var disk: DiskState?
    package var pdsk: DiskState?
    package var susp: Bool?
    package var aftrIsp: Bool?
    package var peerIsp: Bool?
    package var userIsp: Bool?
    package var suspNod: Bool?
    package var suspFen: Bool?

    package init(
        role: Role? = nil, peer: Role? = nil, conn: ConnectionState? = nil, disk: DiskState? = nil,
        pdsk: DiskState? = nil, susp: Bool? = nil, aftrIsp: Bool? = nil, peerIsp: Bool? = nil, userIsp: Bool? = nil,
        suspNod: Bool? = nil, suspFen: Bool? = nil
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

    /// All fields in which `new` differs from `old`.
    package init(from old: DeviceState, to new: DeviceState) {
        func changed<Value: Equatable>(_ field: KeyPath<DeviceState, Value>) -> Value? {
            old[keyPath: field] == new[keyPath: field] ? nil : new[keyPath: field]
        }
        self.init(
            role: changed(\.role), peer: changed(\.peer), conn: changed(\.conn), disk: changed(\.disk),
            pdsk: changed(\.pdsk), susp: changed(\.susp), aftrIsp: changed(\.aftrIsp), peerIsp: changed(\.peerIsp),
            userIsp: changed(\.userIsp), suspNod: changed(\.suspNod), suspFen: changed(\.suspFen))
    }

    /// Nil: the mask takes a field in part, or a value is none of its field's. A decoded ``StateChange`` never is so.
    package init?(_ change: StateChange) {
        let mask = change.mask
        guard mask.hasWholeFields, let values = try? DeviceState(rawValue: change.value & mask.rawValue) else {
            return nil
        }
        func taken<Value>(_ field: StateMask, _ value: Value) -> Value? { mask.contains(field) ? value : nil }
        self.init(
            role: taken(.role, values.role), peer: taken(.peer, values.peer), conn: taken(.conn, values.conn),
            disk: taken(.disk, values.disk), pdsk: taken(.pdsk, values.pdsk), susp: taken(.susp, values.susp),
            aftrIsp: taken(.aftrIsp, values.aftrIsp), peerIsp: taken(.peerIsp, values.peerIsp),
            userIsp: taken(.userIsp, values.userIsp), suspNod: taken(.suspNod, values.suspNod),
            suspFen: taken(.suspFen, values.suspFen))
    }

    /// The wish as it travels.
    package var change: StateChange {
        var mask: StateMask = []
        if role != nil { mask.insert(.role) }
        if peer != nil { mask.insert(.peer) }
        if conn != nil { mask.insert(.conn) }
        if disk != nil { mask.insert(.disk) }
        if pdsk != nil { mask.insert(.pdsk) }
        if susp != nil { mask.insert(.susp) }
        if aftrIsp != nil { mask.insert(.aftrIsp) }
        if peerIsp != nil { mask.insert(.peerIsp) }
        if userIsp != nil { mask.insert(.userIsp) }
        if suspNod != nil { mask.insert(.suspNod) }
        if suspFen != nil { mask.insert(.suspFen) }
        return StateChange(mask: mask, value: applied(to: DeviceState()).rawValue & mask.rawValue)
    }

    /// `state` with the wished fields.
    package func applied(to state: DeviceState) -> DeviceState {
        DeviceState(
            role: role ?? state.role, peer: peer ?? state.peer, conn: conn ?? state.conn, disk: disk ?? state.disk,
            pdsk: pdsk ?? state.pdsk, susp: susp ?? state.susp, aftrIsp: aftrIsp ?? state.aftrIsp,
            peerIsp: peerIsp ?? state.peerIsp, userIsp: userIsp ?? state.userIsp,
            suspNod: suspNod ?? state.suspNod, suspFen: suspFen ?? state.suspFen)
    }

    /// The peer's wish from this node's point of view: own and peer's fields exchanged, the connection state mirrored.
    /// The reasons for suspended I/O concern one node alone and are dropped. Nil: a connection state that nobody may
    /// ask for. Spec: drbd-wire 8.4.
    package func seenFromOtherSide() -> StateRequest? {
        var mirrored = StateRequest(role: peer, peer: role, disk: pdsk, pdsk: disk)
        if let conn {
            guard let seen = conn.seenFromOtherSide else { return nil }
            mirrored.conn = seen
        }
        if aftrIsp != nil || userIsp != nil {
            mirrored.peerIsp = aftrIsp == true || userIsp == true
        }
        return mirrored
    }
}

extension ConnectionState {
    /// What a connection state that the peer wishes for itself means here; nil: not to be wished.
    /// Spec: drbd-wire 8.4.
    fileprivate var seenFromOtherSide: ConnectionState? {
        switch self {
        case .wfReportParams: .wfReportParams
        case .connected: .connected
        case .startingSyncS: .startingSyncT
        case .startingSyncT: .startingSyncS
        case .disconnecting: .tearDown
        case .verifyS: .verifyT
        case .standAlone, .unconnected, .timeout, .brokenPipe, .networkFailure, .protocolError, .tearDown,
            .wfConnection, .wfBitMapS, .wfBitMapT, .wfSyncUUID, .syncSource, .syncTarget, .verifyT, .pausedSyncS,
            .pausedSyncT, .ahead, .behind:
            nil
        }
    }
}

package import DRBDLayout

/// Log lines about state changes, in the words of the kernel. Spec: drbd-disk-and-state 11.
package enum StateLog {
    /// Parts of the state word that a line tells.
    package struct Parts: OptionSet, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        package static let role = Parts(rawValue: 1 << 0)
        package static let peer = Parts(rawValue: 1 << 1)
        package static let conn = Parts(rawValue: 1 << 2)
        package static let disk = Parts(rawValue: 1 << 3)
        package static let pdsk = Parts(rawValue: 1 << 4)
        /// aftr_isp, peer_isp, user_isp.
        package static let pauses = Parts(rawValue: 1 << 5)
        /// The three reasons for suspended I/O as one; a matter of the whole resource.
        package static let suspension = Parts(rawValue: 1 << 6)

        /// What belongs to one volume.
        package static let volume: Parts = [.role, .peer, .conn, .disk, .pdsk, .pauses]
    }

    /// `role( Secondary -> Primary ) disk( ... )`: the changed ones of `parts`; nil when none changed.
    package static func change(
        from old: DeviceState, to new: DeviceState, _ parts: Parts = .volume
    ) -> String? {
        var pieces: [String] = []
        func tell<Value: Equatable & CustomStringConvertible>(
            _ part: Parts, _ name: String, _ before: Value, _ after: Value
        ) {
            guard parts.contains(part), before != after else { return }
            pieces.append("\(name)( \(before) -> \(after) )")
        }
        func number(_ flag: Bool) -> Int { flag ? 1 : 0 }
        tell(.role, "role", old.role, new.role)
        tell(.peer, "peer", old.peer, new.peer)
        tell(.conn, "conn", old.conn, new.conn)
        tell(.disk, "disk", old.disk, new.disk)
        tell(.pdsk, "pdsk", old.pdsk, new.pdsk)
        tell(.pauses, "aftr_isp", number(old.aftrIsp), number(new.aftrIsp))
        tell(.pauses, "peer_isp", number(old.peerIsp), number(new.peerIsp))
        tell(.pauses, "user_isp", number(old.userIsp), number(new.userIsp))
        tell(.suspension, "susp", number(old.isSuspended), number(new.isSuspended))
        return pieces.isEmpty ? nil : pieces.joined(separator: " ")
    }

    /// The three lines about a refused change: why, the state, the wanted state.
    package static func refusal(
        _ result: StateChangeResult, state: DeviceState, wanted: DeviceState
    ) -> [String] {
        [
            "State change failed: \(result.text)",
            "  state = \(braced(state))",
            " wanted = \(braced(wanted))",
        ]
    }

    /// `{ cs:StandAlone ro:Secondary/Unknown ds:Outdated/DUnknown r----- }`
    package static func braced(_ state: DeviceState) -> String {
        let flags: [Character] = [
            state.isSuspended ? "s" : "r", state.aftrIsp ? "a" : "-", state.peerIsp ? "p" : "-",
            state.userIsp ? "u" : "-", state.suspFen ? "F" : "-", state.suspNod ? "N" : "-",
        ]
        return "{ cs:\(state.conn) ro:\(state.role)/\(state.peer) ds:\(state.disk)/\(state.pdsk) \(String(flags)) }"
    }
}

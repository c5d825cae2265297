package import DRBDLayout

/// What is decided about a wish.
package struct StateDecision: Equatable, Sendable {
    /// `success`, `nothingToDo`, or why not.
    package var result: StateChangeResult
    /// The state to take: the old one unless the result is `success`.
    package var new: DeviceState
    /// The wish after normalisation, for the log of a refusal.
    package var wanted: DeviceState
    /// What normalisation changed against the wish; to be logged when the state is taken.
    package var warnings: [StateWarning]
}

/// How a state change is decided: pure functions of the old state, the wish and the context.
///
/// A change is normalised first, so that its fields agree; then three sets of rules judge it. *Hard* changes are facts
/// (the network is lost, the disk failed, what the peer says of itself) and are only asked whether they can follow the
/// old state at all. *Soft* changes, which users and the handshake ask for, pass all three.
/// Spec: drbd-disk-and-state 11.
package enum StateRules {
    package enum Kind: Sendable { case hard, soft }

    /// Judges `request` in the state `old`.
    package static func decide(
        _ old: DeviceState, _ request: StateRequest, _ kind: Kind, context: StateContext
    ) -> StateDecision {
        let (wanted, warnings) = sanitize(request.applied(to: old), from: old, context: context)
        func decision(_ result: StateChangeResult) -> StateDecision {
            StateDecision(
                result: result, new: result == .success ? wanted : old, wanted: wanted, warnings: warnings)
        }
        if wanted == old { return decision(.nothingToDo) }
        let transition = transition(from: old, to: wanted)
        guard transition.isSuccess else { return decision(transition) }
        guard kind == .soft else { return decision(.success) }
        let validity = validity(of: wanted, context: context)
        // What was wrong before does not forbid a step in which it stays wrong.
        guard validity.isSuccess || validity == Self.validity(of: old, context: context) else {
            return decision(validity)
        }
        return decision(softTransition(from: old, to: wanted, context: context))
    }

    /// Whether a soft change needs the peer's consent (a two-step change). Spec: drbd-wire 8.4.
    package static func needsPeerConsent(from old: DeviceState, to new: DeviceState) -> Bool {
        guard old.conn >= .connected else { return false }
        if new.conn == .disconnecting { return true }
        if old.conn == .connected && (new.conn == .verifyS || new.conn == .wfReportParams) { return true }
        guard new.conn >= .connected else { return false }
        return (old.role != .primary && new.role == .primary)
            || (old.conn != .startingSyncT && new.conn == .startingSyncT)
            || (old.conn != .startingSyncS && new.conn == .startingSyncS)
            || (old.disk != .failed && new.disk == .failed)
    }
}

import DRBDLayout

/// What a policy says about a split brain. Spec: drbd-wire 9.3 to 9.5.
package enum SplitBrainVerdict: Equatable, Sendable {
    /// This node's data stays.
    case source
    /// The peer's data stays.
    case target
    case undecided
    /// This Primary would be the target, and the policy wants it demoted first.
    case targetAfterDemotion

    package var mirrored: SplitBrainVerdict {
        switch self {
        case .source: .target
        case .target, .targetAfterDemotion: .source
        case .undecided: .undecided
        }
    }
}

/// The after-split-brain policies as functions of what both nodes know, each seen from its side.
package enum SplitBrainPolicies {
    package typealias Policy = NetworkOptions.SplitBrainPolicy

    /// What the policies look at.
    package struct Facts: Equatable, Sendable {
        /// Set bits, as told in the last P_UUIDS of either side.
        package var ownChangedBits: UInt64
        package var peerChangedBits: UInt64
        package var ownBitmapUUID: UInt64
        package var peerBitmapUUID: UInt64
        package var resolveConflicts: Bool

        package init(
            ownChangedBits: UInt64, peerChangedBits: UInt64, ownBitmapUUID: UInt64, peerBitmapUUID: UInt64,
            resolveConflicts: Bool
        ) {
            self.ownChangedBits = ownChangedBits
            self.peerChangedBits = peerChangedBits
            self.ownBitmapUUID = ownBitmapUUID
            self.peerBitmapUUID = peerBitmapUUID
            self.resolveConflicts = resolveConflicts
        }

        /// The bitmap's generation keeps the role bit of the time when the split began.
        fileprivate var wasOwnPrimary: Bool { ownBitmapUUID & GenerationUUID.primaryBit != 0 }
        fileprivate var wasPeerPrimary: Bool { peerBitmapUUID & GenerationUUID.primaryBit != 0 }
        /// Somebody must give way when nothing speaks for either.
        fileprivate var byFlag: SplitBrainVerdict { resolveConflicts ? .target : .source }
    }

    /// after-sb-0pri. Spec: drbd-wire 9.3.
    package static func withoutPrimary(_ policy: Policy, _ facts: Facts) -> SplitBrainVerdict {
        switch policy {
        case .discardYoungerPrimary:
            facts.wasOwnPrimary == facts.wasPeerPrimary
                ? byChanges(facts) : facts.wasOwnPrimary ? .source : .target
        case .discardOlderPrimary:
            facts.wasOwnPrimary == facts.wasPeerPrimary
                ? byChanges(facts) : facts.wasOwnPrimary ? .target : .source
        case .discardZeroChanges:
            byZeroChanges(facts)
        case .discardLeastChanges:
            byLeastChanges(facts)
        case .discardLocal:
            .target
        case .discardRemote:
            .source
        case .disconnect, .consensus, .discardSecondary, .callPriLost, .violently:
            .undecided
        }
    }

    private static func byChanges(_ facts: Facts) -> SplitBrainVerdict {
        let verdict = byZeroChanges(facts)
        return verdict == .undecided ? byLeastChanges(facts) : verdict
    }

    private static func byZeroChanges(_ facts: Facts) -> SplitBrainVerdict {
        switch (facts.ownChangedBits == 0, facts.peerChangedBits == 0) {
        case (true, true): facts.byFlag
        case (false, true): .source
        case (true, false): .target
        case (false, false): .undecided
        }
    }

    private static func byLeastChanges(_ facts: Facts) -> SplitBrainVerdict {
        if facts.ownChangedBits == facts.peerChangedBits { return facts.byFlag }
        return facts.ownChangedBits < facts.peerChangedBits ? .target : .source
    }

    /// after-sb-1pri. Spec: drbd-wire 9.4.
    package static func withOnePrimary(
        _ policy: Policy, withoutPrimary other: Policy, isPrimary: Bool, _ facts: Facts
    ) -> SplitBrainVerdict {
        let verdict = withoutPrimary(other, facts)
        switch policy {
        case .consensus:
            return verdict == (isPrimary ? .source : .target) ? verdict : .undecided
        case .violently:
            return verdict
        case .discardSecondary:
            return isPrimary ? .source : .target
        case .callPriLost:
            return verdict == .target && isPrimary ? .targetAfterDemotion : verdict
        case .disconnect, .discardYoungerPrimary, .discardOlderPrimary, .discardZeroChanges, .discardLeastChanges,
            .discardLocal, .discardRemote:
            return .undecided
        }
    }

    /// after-sb-2pri. Spec: drbd-wire 9.5.
    package static func withTwoPrimaries(
        _ policy: Policy, withoutPrimary other: Policy, _ facts: Facts
    ) -> SplitBrainVerdict {
        let verdict = withoutPrimary(other, facts)
        switch policy {
        case .violently:
            return verdict
        case .callPriLost:
            return verdict == .target ? .targetAfterDemotion : verdict
        case .disconnect, .consensus, .discardSecondary, .discardYoungerPrimary, .discardOlderPrimary,
            .discardZeroChanges, .discardLeastChanges, .discardLocal, .discardRemote:
            return .undecided
        }
    }
}

import Testing

@testable import Replication

/// Spec: drbd-wire 9.3 to 9.5.
struct SplitBrainPoliciesTests {
    typealias Policy = NetworkOptions.SplitBrainPolicy

    struct Row: Sendable, CustomTestStringConvertible {
        let policy: Policy
        let bits: (UInt64, UInt64)
        let wasPrimary: (Bool, Bool)
        let flag: Bool
        let verdict: SplitBrainVerdict

        init(
            _ policy: Policy, bits: (UInt64, UInt64) = (3, 5), wasPrimary: (Bool, Bool) = (false, false),
            flag: Bool = false, _ verdict: SplitBrainVerdict
        ) {
            self.policy = policy
            self.bits = bits
            self.wasPrimary = wasPrimary
            self.flag = flag
            self.verdict = verdict
        }

        var facts: SplitBrainPolicies.Facts {
            SplitBrainPolicies.Facts(
                ownChangedBits: bits.0, peerChangedBits: bits.1, ownBitmapUUID: 0xA0 | (wasPrimary.0 ? 1 : 0),
                peerBitmapUUID: 0xA0 | (wasPrimary.1 ? 1 : 0), resolveConflicts: flag)
        }

        var testDescription: String { "\(policy) \(bits) \(wasPrimary) \(flag): \(verdict)" }
    }

    static let rows: [Row] = [
        Row(.disconnect, .undecided),
        Row(.discardYoungerPrimary, wasPrimary: (false, true), .target),
        Row(.discardYoungerPrimary, wasPrimary: (true, false), .source),
        Row(.discardYoungerPrimary, wasPrimary: (true, true), .target),
        Row(.discardYoungerPrimary, bits: (5, 3), wasPrimary: (true, true), .source),
        Row(.discardYoungerPrimary, bits: (4, 4), wasPrimary: (true, true), flag: true, .target),
        Row(.discardOlderPrimary, wasPrimary: (false, true), .source),
        Row(.discardOlderPrimary, wasPrimary: (true, false), .target),
        Row(.discardOlderPrimary, bits: (0, 5), .target),
        Row(.discardOlderPrimary, bits: (5, 3), .source),
        Row(.discardZeroChanges, bits: (0, 0), flag: true, .target),
        Row(.discardZeroChanges, bits: (0, 0), flag: false, .source),
        Row(.discardZeroChanges, bits: (5, 0), .source),
        Row(.discardZeroChanges, bits: (0, 5), .target),
        Row(.discardZeroChanges, bits: (3, 5), .undecided),
        Row(.discardLeastChanges, bits: (3, 5), .target),
        Row(.discardLeastChanges, bits: (5, 3), .source),
        Row(.discardLeastChanges, bits: (5, 5), flag: true, .target),
        Row(.discardLeastChanges, bits: (5, 5), flag: false, .source),
        Row(.discardLocal, .target),
        Row(.discardRemote, .source),
        Row(.consensus, .undecided),
        Row(.discardSecondary, .undecided),
        Row(.callPriLost, .undecided),
        Row(.violently, .undecided),
    ]

    @Test("no Primary: the table", arguments: rows)
    func withoutPrimary(row: Row) {
        #expect(SplitBrainPolicies.withoutPrimary(row.policy, row.facts) == row.verdict)
    }

    @Test("no Primary: mirrored policies on mirrored facts decide alike", arguments: rows)
    func mirrored(row: Row) {
        let policy: Policy =
            row.policy == .discardLocal ? .discardRemote : row.policy == .discardRemote ? .discardLocal : row.policy
        let other = Row(
            policy, bits: (row.bits.1, row.bits.0), wasPrimary: (row.wasPrimary.1, row.wasPrimary.0),
            flag: !row.flag, row.verdict.mirrored)
        #expect(SplitBrainPolicies.withoutPrimary(other.policy, other.facts) == other.verdict)
    }

    /// With these facts `discardRemote` says source and `discardLocal` says target.
    private let facts = Row(.disconnect, .undecided).facts

    private func one(_ policy: Policy, says: SplitBrainVerdict, isPrimary: Bool) -> SplitBrainVerdict {
        let other: Policy = says == .source ? .discardRemote : says == .target ? .discardLocal : .disconnect
        return SplitBrainPolicies.withOnePrimary(policy, withoutPrimary: other, isPrimary: isPrimary, facts)
    }

    private func two(_ policy: Policy, says: SplitBrainVerdict) -> SplitBrainVerdict {
        let other: Policy = says == .source ? .discardRemote : says == .target ? .discardLocal : .disconnect
        return SplitBrainPolicies.withTwoPrimaries(policy, withoutPrimary: other, facts)
    }

    @Test("one Primary: consensus accepts only that the Secondary gives way")
    func consensus() {
        #expect(one(.consensus, says: .source, isPrimary: true) == .source)
        #expect(one(.consensus, says: .target, isPrimary: true) == .undecided)
        #expect(one(.consensus, says: .source, isPrimary: false) == .undecided)
        #expect(one(.consensus, says: .target, isPrimary: false) == .target)
        #expect(one(.consensus, says: .undecided, isPrimary: true) == .undecided)
    }

    @Test("one Primary: violently-as0p takes what the other policy says")
    func violently() {
        for verdict in [SplitBrainVerdict.source, .target, .undecided] {
            #expect(one(.violently, says: verdict, isPrimary: true) == verdict)
            #expect(one(.violently, says: verdict, isPrimary: false) == verdict)
            #expect(two(.violently, says: verdict) == verdict)
        }
    }

    @Test("one Primary: discard-secondary keeps the Primary's data, whatever the other policy says")
    func discardSecondary() {
        #expect(one(.discardSecondary, says: .target, isPrimary: true) == .source)
        #expect(one(.discardSecondary, says: .source, isPrimary: false) == .target)
    }

    @Test("call-pri-lost-after-sb demotes the Primary that loses")
    func callPriLost() {
        #expect(one(.callPriLost, says: .target, isPrimary: true) == .targetAfterDemotion)
        #expect(one(.callPriLost, says: .target, isPrimary: false) == .target)
        #expect(one(.callPriLost, says: .source, isPrimary: true) == .source)
        #expect(two(.callPriLost, says: .target) == .targetAfterDemotion)
        #expect(two(.callPriLost, says: .source) == .source)
        #expect(two(.callPriLost, says: .undecided) == .undecided)
    }

    @Test("policies at a place where they mean nothing do not decide")
    func misplaced() {
        let here: [Policy] = [
            .disconnect, .discardYoungerPrimary, .discardOlderPrimary, .discardZeroChanges, .discardLeastChanges,
            .discardLocal, .discardRemote,
        ]
        for policy in here {
            #expect(one(policy, says: .source, isPrimary: true) == .undecided)
            #expect(two(policy, says: .source) == .undecided)
        }
        #expect(two(.consensus, says: .source) == .undecided)
        #expect(two(.discardSecondary, says: .source) == .undecided)
    }
}

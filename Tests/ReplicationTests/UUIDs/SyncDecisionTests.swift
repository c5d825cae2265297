import DRBDLayout
import EngineKit
import Testing

@testable import Replication

/// Spec: drbd-wire 9.2.
struct SyncDecisionTests {
    typealias Side = SyncDecision.Side

    private static let a: UInt64 = 0xA0A0_0000_0000_1000
    private static let b: UInt64 = 0xB0B0_0000_0000_2000
    private static let c: UInt64 = 0xC0C0_0000_0000_3000
    private static let d: UInt64 = 0xD0D0_0000_0000_4000
    private static let e: UInt64 = 0xE0E0_0000_0000_5000
    private static let f: UInt64 = 0xF0F0_0000_0000_6000

    private func side(
        _ four: [UInt64], flags: UUIDSet.Flags = [], bits: UInt64 = 0, role: Role = .secondary,
        disk: DiskState = .upToDate, dryRun: Bool = false
    ) -> Side {
        Side(
            uuids: GenerationUUIDs(current: four[0], bitmap: four[1], history0: four[2], history1: four[3]),
            flags: flags, changedBits: bits, role: role, disk: disk, wantsDryRun: dryRun)
    }

    private func decide(
        _ own: Side, _ peer: Side, now: DiskState? = nil, flag: Bool = false,
        demotion: SyncDecision.Demotion = .notTried,
        hasWriteSame: Bool = true, _ change: (inout NetworkOptions) -> Void = { _ in }
    ) -> SyncDecision {
        var options = NetworkOptions()
        change(&options)
        return SyncDecision.decide(
            own: own, peer: peer, ownDiskNow: now ?? own.disk, options: options,
            .init(resolveConflicts: flag, hasWriteSame: hasWriteSame), demotion: demotion)
    }

    private func texts(_ decision: SyncDecision) -> [String] { decision.log.map(\.text) }

    private let equal: [UInt64] = [a, 0, c, d]
    /// Behind ``ahead``.
    private let behind: [UInt64] = [a, 0, c, d]
    private let ahead: [UInt64] = [b, a, c, d]
    private let split1: [UInt64] = [b, a | 1, c, d]
    private let split2: [UInt64] = [e, a, c, 0]
    /// Rule 100 with ``split1``.
    private let ambiguous: [UInt64] = [f, 0, c, 0]

    @Test("equal generations: Connected, with what is compared in the log")
    func noSync() {
        let decision = decide(side(equal), side(equal, flags: .discardMyData, bits: 7))
        #expect(decision.conclusion == .proceed(.connected, isFull: false))
        #expect(decision.handlers.isEmpty)
        #expect(
            texts(decision) == [
                "drbd_sync_handshake:",
                "self A0A0000000001000:0000000000000000:C0C0000000003000:D0D0000000004000 bits:0 flags:0",
                "peer A0A0000000001000:0000000000000000:C0C0000000003000:D0D0000000004000 bits:7 flags:1",
                "uuid_compare()=0 by rule 40",
            ])
    }

    @Test("bits that wait for a resync are told")
    func noSyncButBits() {
        #expect(texts(decide(side(equal, bits: 1), side(equal))).last == "No resync, but 1 bits in bitmap!")
    }

    @Test("the four kinds of resync")
    func resyncs() {
        #expect(decide(side(ahead), side(behind)).conclusion == .proceed(.wfBitMapS, isFull: false))
        #expect(decide(side(behind), side(ahead)).conclusion == .proceed(.wfBitMapT, isFull: false))
        let new = side([4, 0, 0, 0], disk: .inconsistent)
        let full = decide(side(ahead), new)
        #expect(full.conclusion == .proceed(.wfBitMapS, isFull: true))
        #expect(texts(full).contains("Writing the whole bitmap, full sync required after drbd_sync_handshake."))
        #expect(decide(new, side(ahead)).conclusion == .proceed(.wfBitMapT, isFull: true))
    }

    @Test("an Inconsistent disk gives its half of a split brain up, whatever the policy says")
    func inconsistentSplit() {
        func both(_ flags: UUIDSet.Flags) -> (SyncDecision, SyncDecision) {
            let worse = side(split1, flags: flags, disk: .inconsistent)
            return (
                decide(worse, side(split2)) { $0.afterSplitBrain0Primaries = .discardRemote },
                decide(side(split2), worse) { $0.afterSplitBrain0Primaries = .discardLocal }
            )
        }
        let (target, source) = both(.discardMyData)
        #expect(target.conclusion == .proceed(.wfBitMapT, isFull: false))
        #expect(source.conclusion == .proceed(.wfBitMapS, isFull: false))
        let (refused, mirrored) = both([])
        #expect(refused.conclusion == .refuse && mirrored.conclusion == .refuse)
        #expect(texts(mirrored).last == "I shall become SyncTarget, but the peer is inconsistent!")
    }

    @Test("two Primaries of one generation, one of them Inconsistent after a crash: that one takes everything")
    func crashedInconsistentPrimary() {
        let crashed = side(equal, flags: .crashedPrimary, role: .primary, disk: .inconsistent)
        let good = side(equal, role: .primary)
        #expect(decide(good, crashed).conclusion == .proceed(.wfBitMapS, isFull: true))
        #expect(decide(crashed, good).conclusion == .proceed(.wfBitMapT, isFull: true))
    }

    @Test("step 1: unrelated data and too old a peer are refused")
    func unrelated() {
        let decision = decide(side([Self.b, 0, Self.c, Self.d]), side([Self.a, 0, 2, 0]))
        #expect(decision.conclusion == .refuse)
        #expect(texts(decision).last == "Unrelated data, aborting!")
        #expect(decision.handlers.isEmpty)
        let old = decide(
            side(equal, flags: .crashedPrimary), side(equal, role: .primary), hasWriteSame: false)
        #expect(old.conclusion == .refuse)
        #expect(texts(old).last?.contains("protocol 101 and feature flags 0x4") == true)
    }

    @Test("step 2: the better disk is source, unless the other has newer data (a deviation from kernels)")
    func diskStates() {
        let bad = side(equal, disk: .inconsistent)
        #expect(decide(side(equal), bad).conclusion == .proceed(.wfBitMapS, isFull: false))
        #expect(decide(bad, side(equal)).conclusion == .proceed(.wfBitMapT, isFull: false))
        #expect(decide(bad, side(equal, disk: .consistent)).conclusion == .proceed(.wfBitMapT, isFull: false))
        #expect(decide(side(behind), side(ahead, disk: .inconsistent)).conclusion == .refuse)
        #expect(decide(side(ahead, disk: .inconsistent), side(behind)).conclusion == .refuse)
        let full = decide(side(split1), side(ambiguous, disk: .inconsistent))
        #expect(full.comparison.result == .splitBrainWithoutAncestor)
        #expect(full.conclusion == .refuse)
        #expect(full.handlers == [.initialSplitBrain, .splitBrain])
        let splitBrain = decide(side(split1), side(split2, disk: .inconsistent))
        #expect(splitBrain.conclusion == .refuse)
        #expect(
            decide(side(equal, disk: .inconsistent), side(equal, disk: .inconsistent)).conclusion
                == .proceed(.connected, isFull: false))
    }

    @Test("step 3: an unsolved split brain calls both handlers and is refused")
    func unresolved() {
        let decision = decide(side(split1), side(split2))
        #expect(decision.comparison.rule == 90)
        #expect(decision.conclusion == .refuse)
        #expect(decision.handlers == [.initialSplitBrain, .splitBrain])
        #expect(texts(decision).contains("Split-Brain detected but unresolved, dropping connection!"))
        #expect(texts(decision).contains { $0.hasPrefix("Split-Brain detected, dropping connection!") })
    }

    @Test("step 3: a policy solves it, by bitmap")
    func solved() {
        let decision = decide(side(split1, bits: 3), side(split2, bits: 5)) {
            $0.afterSplitBrain0Primaries = .discardLeastChanges
        }
        #expect(decision.conclusion == .proceed(.wfBitMapT, isFull: false))
        #expect(decision.handlers == [.initialSplitBrain])
        #expect(
            texts(decision).contains(
                "Split-Brain detected, 0 primaries, automatically solved. Sync from peer node"))
    }

    @Test("step 3: the policy goes by the number of Primaries now")
    func policyByPrimaries() {
        func conclusion(_ own: Role, _ peer: Role) -> SyncDecision.Conclusion {
            decide(side(split1, role: own), side(split2, role: peer)) {
                $0.allowTwoPrimaries = true
                $0.afterSplitBrain0Primaries = .discardRemote
                $0.afterSplitBrain1Primary = .disconnect
                $0.afterSplitBrain2Primaries = .violently
            }.conclusion
        }
        #expect(conclusion(.secondary, .secondary) == .proceed(.wfBitMapS, isFull: false))
        #expect(conclusion(.primary, .secondary) == .refuse)
        #expect(conclusion(.secondary, .primary) == .refuse)
        #expect(conclusion(.primary, .primary) == .proceed(.wfBitMapS, isFull: false))
    }

    @Test("step 3: -100 needs always-asbp, and is then a full sync")
    func alwaysPolicies() {
        #expect(
            decide(side(split1), side(ambiguous)) { $0.afterSplitBrain0Primaries = .discardRemote }.conclusion
                == .refuse)
        let decision = decide(side(split1), side(ambiguous)) {
            $0.afterSplitBrain0Primaries = .discardRemote
            $0.alwaysAfterSplitBrainPolicies = true
        }
        #expect(decision.conclusion == .proceed(.wfBitMapS, isFull: true))
        #expect(decision.handlers == [.initialSplitBrain])
        #expect(texts(decision).contains("Doing a full sync, since UUIDs where ambiguous."))
    }

    @Test("step 3: call-pri-lost-after-sb asks for a demotion, then goes on from there")
    func demotion() {
        let (own, peer) = (side(split1, role: .primary), side(split2, role: .primary))
        func decide(_ demotion: SyncDecision.Demotion) -> SyncDecision {
            self.decide(own, peer, demotion: demotion) {
                $0.afterSplitBrain0Primaries = .discardLocal
                $0.afterSplitBrain2Primaries = .callPriLost
            }
        }
        let first = decide(.notTried)
        #expect(first.conclusion == .demote)
        #expect(first.handlers == [.initialSplitBrain])
        let succeeded = decide(.succeeded)
        #expect(succeeded.conclusion == .proceed(.wfBitMapT, isFull: false))
        #expect(succeeded.handlers.isEmpty)
        let failed = decide(.failed)
        #expect(failed.conclusion == .refuse)
        #expect(failed.handlers == [.priLostAfterSplitBrain, .splitBrain])
        let winner = self.decide(own, peer) {
            $0.afterSplitBrain0Primaries = .discardRemote
            $0.afterSplitBrain2Primaries = .callPriLost
        }
        #expect(winner.conclusion == .proceed(.wfBitMapS, isFull: false))
        #expect(texts(winner).contains("Split-Brain detected, 2 primaries, automatically solved. Sync from this node"))
    }

    @Test("step 4: one side's discard-my-data solves what no policy did, two do not")
    func discardMyData() {
        func conclusion(_ own: UUIDSet.Flags, _ peer: UUIDSet.Flags) -> SyncDecision.Conclusion {
            decide(side(split1, flags: own), side(split2, flags: peer)).conclusion
        }
        #expect(conclusion(.discardMyData, []) == .proceed(.wfBitMapT, isFull: false))
        #expect(conclusion([], .discardMyData) == .proceed(.wfBitMapS, isFull: false))
        #expect(conclusion(.discardMyData, .discardMyData) == .refuse)
        let decision = decide(side(split1, flags: .discardMyData), side(ambiguous))
        // Without a common ancestor the bitmaps say nothing.
        #expect(decision.conclusion == .proceed(.wfBitMapT, isFull: true))
        #expect(texts(decision).contains("Split-Brain detected, manually solved. Sync from peer node"))
    }

    @Test("step 6: an Inconsistent node does not become source")
    func inconsistentSource() {
        let decision = decide(side(ahead, disk: .inconsistent), side(behind, disk: .inconsistent))
        #expect(decision.conclusion == .refuse)
        #expect(texts(decision).last == "I shall become SyncSource, but I am inconsistent!")
    }

    @Test("step 7: a Primary on good data becomes target only violently")
    func roleConflict() {
        let own = side(behind, role: .primary)
        let refused = decide(own, side(ahead))
        #expect(refused.conclusion == .refuse)
        #expect(refused.handlers.isEmpty)
        #expect(texts(refused).last == "I shall become SyncTarget, but I am primary!")
        let called = decide(own, side(ahead)) { $0.onRoleConflict = .callPriLost }
        #expect(called.conclusion == .refuse)
        #expect(called.handlers == [.priLost])
        let violent = decide(own, side(ahead)) { $0.onRoleConflict = .violently }
        #expect(violent.conclusion == .proceed(.wfBitMapT, isFull: false))
    }

    @Test("step 7: a Primary that worked on the peer's disk and attaches its own may become target")
    func negotiatingPrimary() {
        let own = side(behind, role: .primary, disk: .upToDate)
        #expect(decide(own, side(ahead), now: .negotiating).conclusion == .proceed(.wfBitMapT, isFull: false))
    }

    @Test("step 8: a dry run tells and ends", arguments: [true, false])
    func dryRun(byOwn: Bool) {
        func text(_ own: [UInt64], _ peer: [UInt64], _ disk: DiskState = .upToDate) -> String? {
            let decision = decide(side(own, disk: disk, dryRun: byOwn), side(peer, dryRun: !byOwn))
            #expect(decision.conclusion == .dryRun)
            return texts(decision).last
        }
        #expect(text(equal, equal) == "dry-run connect: No resync, would become Connected immediately.")
        #expect(text(ahead, behind) == "dry-run connect: Would become SyncSource, doing a bit-map based resync.")
        #expect(text(behind, ahead) == "dry-run connect: Would become SyncTarget, doing a bit-map based resync.")
        #expect(
            text([4, 0, 0, 0], ahead, .inconsistent)
                == "dry-run connect: Would become SyncTarget, doing a full resync.")
        #expect(text(ahead, [4, 0, 0, 0]) == "dry-run connect: Would become SyncSource, doing a full resync.")
    }

    @Test("both nodes come to mirrored conclusions under every policy, or one of them refuses")
    func mirroredConclusions() {
        let policies: [NetworkOptions.SplitBrainPolicy] = [
            .disconnect, .discardYoungerPrimary, .discardOlderPrimary, .discardZeroChanges, .discardLeastChanges,
            .discardLocal, .discardRemote, .consensus, .discardSecondary, .callPriLost, .violently,
        ]
        func swapped(_ policy: NetworkOptions.SplitBrainPolicy) -> NetworkOptions.SplitBrainPolicy {
            policy == .discardLocal ? .discardRemote : policy == .discardRemote ? .discardLocal : policy
        }
        let random = SeededRandom(seed: 11)
        func pick<Element>(_ list: [Element]) -> Element { list[Int(random.next(below: UInt64(list.count)))] }
        for _ in 0..<4000 {
            func anySide() -> Side {
                side(
                    pick([split1, split2, ambiguous, ahead, behind, [4, 0, 0, 0]]),
                    flags: pick([[], [], .discardMyData, .crashedPrimary]), bits: pick([0, 3, 5]),
                    role: pick([.primary, .secondary]), disk: pick([.upToDate, .consistent, .inconsistent]))
            }
            let (own, peer) = (anySide(), anySide())
            var options = NetworkOptions()
            options.afterSplitBrain0Primaries = pick(policies)
            options.afterSplitBrain1Primary = pick(policies)
            options.afterSplitBrain2Primaries = pick(policies)
            options.alwaysAfterSplitBrainPolicies = pick([true, false])
            var other = options
            other.afterSplitBrain0Primaries = swapped(options.afterSplitBrain0Primaries)
            options.onRoleConflict = .violently
            other.onRoleConflict = .violently
            let flag = pick([true, false])
            let here = SyncDecision.decide(
                own: own, peer: peer, ownDiskNow: own.disk, options: options, .init(resolveConflicts: flag),
                demotion: .succeeded)
            let there = SyncDecision.decide(
                own: peer, peer: own, ownDiskNow: peer.disk, options: other, .init(resolveConflicts: !flag),
                demotion: .succeeded)
            switch (here.conclusion, there.conclusion) {
            case (.proceed(.connected, _), .proceed(.connected, _)), (.refuse, _), (_, .refuse): break
            case (.proceed(.wfBitMapS, let full), .proceed(.wfBitMapT, let fullThere)),
                (.proceed(.wfBitMapT, let full), .proceed(.wfBitMapS, let fullThere)):
                #expect(full == fullThere)
            default: Issue.record("\(here.conclusion) against \(there.conclusion): \(own) \(peer) \(options)")
            }
        }
    }
}

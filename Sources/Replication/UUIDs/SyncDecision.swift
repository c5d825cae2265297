package import DRBDLayout
package import EngineKit

/// What two nodes do after they have told each other their generations: nothing, a resync, or part again.
/// Spec: drbd-wire 9.2.
///
/// Both compute it, each from its side, and come to mirrored conclusions.
package struct SyncDecision: Equatable, Sendable {
    /// One of the two nodes, as the other knows it.
    package struct Side: Equatable, Sendable {
        package var uuids: GenerationUUIDs
        /// As in its last P_UUIDS.
        package var flags: UUIDSet.Flags
        /// Set bits, as in its last P_UUIDS.
        package var changedBits: UInt64
        package var role: Role
        /// Own: the remembered disk state while Negotiating. Peer: the real peer disk of drbd-wire 8.3.
        package var disk: DiskState
        package var wantsDryRun: Bool

        package init(
            uuids: GenerationUUIDs, flags: UUIDSet.Flags = [], changedBits: UInt64 = 0, role: Role = .secondary,
            disk: DiskState, wantsDryRun: Bool = false
        ) {
            self.uuids = uuids
            self.flags = flags
            self.changedBits = changedBits
            self.role = role
            self.disk = disk
            self.wantsDryRun = wantsDryRun
        }

        fileprivate var compared: UUIDComparison.Side {
            UUIDComparison.Side(
                uuids: uuids, isCrashedPrimary: flags.contains(.crashedPrimary), isPrimary: role == .primary)
        }
    }

    /// How the demotion that a policy asked for went.
    package enum Demotion: Equatable, Sendable { case notTried, succeeded, failed }

    package enum Conclusion: Equatable, Sendable {
        /// Go on with this connection state: Connected, WFBitMapS or WFBitMapT. `isFull`: set every bit first, in the
        /// FULL_SYNC bracket.
        case proceed(ConnectionState, isFull: Bool)
        /// Part. During connecting: Disconnecting; while a disk negotiates only that fails. Spec: drbd-wire 8.3 step 7.
        case refuse
        /// It was a dry run, and is over.
        case dryRun
        /// Run the handlers, try to demote this node, then decide again, with everything else (the role, too) as
        /// it was and the outcome as `demotion`.
        case demote
    }

    /// Handlers of drbd-disk-and-state 17 that belong to the handshake.
    package enum Handler: String, Sendable {
        case initialSplitBrain = "initial-split-brain"
        case priLostAfterSplitBrain = "pri-lost-after-sb"
        case splitBrain = "split-brain"
        case priLost = "pri-lost"
    }

    package var comparison: UUIDComparison
    package var conclusion: Conclusion
    /// To be run in this order before the conclusion is carried out.
    package var handlers: [Handler]
    package var log: [LogRecord]

    /// - Parameters:
    ///   - ownDiskNow: the own disk state without the memory of ``Side/disk``: a Primary that negotiates may become
    ///     target, it works on the peer's data.
    package static func decide(
        own: Side, peer: Side, ownDiskNow: DiskState, options: NetworkOptions,
        _ circumstances: UUIDComparison.Circumstances, demotion: Demotion = .notTried
    ) -> SyncDecision {
        let comparison = UUIDComparison.compare(own: own.compared, peer: peer.compared, circumstances)
        var steps = SyncDecisionSteps(
            own: own, peer: peer, ownDiskNow: ownDiskNow, options: options,
            resolveConflicts: circumstances.resolveConflicts, demotion: demotion)
        let conclusion = steps.conclude(comparison)
        return SyncDecision(
            comparison: comparison, conclusion: conclusion, handlers: steps.handlers, log: steps.log)
    }
}

/// The steps of drbd-wire 9.2, which numbers stand at the functions.
private struct SyncDecisionSteps {
    let own: SyncDecision.Side
    let peer: SyncDecision.Side
    let ownDiskNow: DiskState
    let options: NetworkOptions
    let resolveConflicts: Bool
    let demotion: SyncDecision.Demotion
    var handlers: [SyncDecision.Handler] = []
    var log: [LogRecord] = []

    typealias Result = UUIDComparison.Result

    mutating func conclude(_ comparison: UUIDComparison) -> SyncDecision.Conclusion {
        tellComparison(comparison)
        if let refusal = refuseUnrelated(comparison.result) ?? refuseWorseButNewer(comparison.result) {
            return refusal
        }
        var result = preferConsistentDisk(comparison)
        if result == .splitBrain || result == .splitBrainWithoutAncestor {
            handlers.append(.initialSplitBrain)
            if result == .splitBrain || options.alwaysAfterSplitBrainPolicies {
                guard let solved = applyPolicies(result) else { return .demote }
                result = solved
            }
            result = applyDiscardMyData(result, hasAncestor: comparison.result == .splitBrain)
        }
        if let refusal = refuseUnresolved(result) ?? refuseRoles(result) { return refusal }
        if own.wantsDryRun || peer.wantsDryRun { return endDryRun(result) }
        return proceed(result)
    }

    private mutating func tell(_ level: LogLevel, _ text: String) {
        log.append(LogRecord(level, text))
    }

    private mutating func tellComparison(_ comparison: UUIDComparison) {
        func line(_ name: String, _ side: SyncDecision.Side) -> String {
            let flags = String(side.flags.rawValue, radix: 16, uppercase: true)
            return "\(name) \(side.uuids) bits:\(side.changedBits) flags:\(flags)"
        }
        tell(.info, "drbd_sync_handshake:")
        tell(.info, line("self", own))
        tell(.info, line("peer", peer))
        tell(.info, "uuid_compare()=\(comparison.result.number) by rule \(comparison.rule)")
    }

    /// Step 1.
    private mutating func refuseUnrelated(_ result: Result) -> SyncDecision.Conclusion? {
        switch result {
        case .unrelated:
            tell(.error, "Unrelated data, aborting!")
            return .refuse
        case .needsProtocol(let version):
            tell(.error, "To resolve this both sides have to support at least protocol \(version)")
            return .refuse
        case .needsWriteSame:
            tell(
                .error,
                "To resolve this both sides have to support at least protocol 101 and feature flags 0x4")
            return .refuse
        case .sourceFull, .sourceBitmap, .noSync, .targetBitmap, .targetFull, .splitBrain,
            .splitBrainWithoutAncestor:
            return nil
        }
    }

    /// A disk that became Inconsistent by its own errors (`on-io-error pass_on`) may hold the newer data.
    ///
    /// Deviation: kernels overwrite it with the older data of the better disk (step 2), acknowledged writes included.
    private mutating func refuseWorseButNewer(_ result: Result) -> SyncDecision.Conclusion? {
        let ownIsNewer = result == .sourceBitmap || result == .sourceFull
        let peerIsNewer = result == .targetBitmap || result == .targetFull
        if own.disk == .inconsistent, peer.disk > .inconsistent, ownIsNewer, !own.flags.contains(.discardMyData) {
            tell(
                .error,
                "This disk is Inconsistent but has data that the peer lacks: connect with --discard-my-data to give "
                    + "it up, or make it UpToDate with primary --force")
            return .refuse
        }
        if peer.disk == .inconsistent, own.disk > .inconsistent, peerIsNewer, !peer.flags.contains(.discardMyData) {
            tell(.error, "The peer's disk is Inconsistent but has data that this one lacks")
            return .refuse
        }
        return nil
    }

    /// Step 2.
    ///
    /// Deviation: kernels let it also decide a split brain, without policy or leave of an administrator. Here only one
    /// whose Inconsistent side is given up by discard-my-data (before the policies, which may say the opposite), and that
    /// of rule 41, two Primaries of one generation: the Inconsistent one could not have written alone.
    private mutating func preferConsistentDisk(_ comparison: UUIDComparison) -> Result {
        let result = comparison.result
        let isSplitBrain = result == .splitBrain || result == .splitBrainWithoutAncestor
        let worse = own.disk == .inconsistent ? own : peer
        let isGivenUp =
            worse.flags.contains(.discardMyData)
            && own.flags.contains(.discardMyData) != peer.flags.contains(.discardMyData)
        if isSplitBrain, comparison.rule != 41, !isGivenUp { return result }
        let isSource: Bool
        if own.disk == .inconsistent && peer.disk > .inconsistent {
            isSource = false
        } else if peer.disk == .inconsistent && own.disk > .inconsistent {
            isSource = true
        } else {
            return result
        }
        tell(.info, "Becoming sync \(isSource ? "source" : "target") due to disk states.")
        let isFull = result == .splitBrainWithoutAncestor || result == .sourceFull || result == .targetFull
        return isSource ? (isFull ? .sourceFull : .sourceBitmap) : (isFull ? .targetFull : .targetBitmap)
    }

    /// Step 3; nil: demote first.
    private mutating func applyPolicies(_ result: Result) -> Result? {
        let primaries = (own.role == .primary ? 1 : 0) + (peer.role == .primary ? 1 : 0)
        let isSource: Bool
        switch verdict(primaries: primaries) {
        case .source:
            isSource = true
        case .target:
            isSource = false
        case .undecided:
            return .splitBrainWithoutAncestor
        case .targetAfterDemotion:
            if demotion == .notTried { return nil }
            // What came before was told and done when the demotion was asked for.
            log.removeAll()
            handlers.removeAll()
            if demotion == .failed {
                handlers.append(.priLostAfterSplitBrain)
                return .splitBrainWithoutAncestor
            }
            isSource = false
        }
        tell(
            .warning,
            "Split-Brain detected, \(primaries) primaries, automatically solved. "
                + "Sync from \(isSource ? "this" : "peer") node")
        if result == .splitBrain { return isSource ? .sourceBitmap : .targetBitmap }
        tell(.warning, "Doing a full sync, since UUIDs where ambiguous.")
        return isSource ? .sourceFull : .targetFull
    }

    private func verdict(primaries: Int) -> SplitBrainVerdict {
        let facts = SplitBrainPolicies.Facts(
            ownChangedBits: own.changedBits, peerChangedBits: peer.changedBits, ownBitmapUUID: own.uuids.bitmap,
            peerBitmapUUID: peer.uuids.bitmap, resolveConflicts: resolveConflicts)
        let without = options.afterSplitBrain0Primaries
        return switch primaries {
        case 0:
            SplitBrainPolicies.withoutPrimary(without, facts)
        case 1:
            SplitBrainPolicies.withOnePrimary(
                options.afterSplitBrain1Primary, withoutPrimary: without, isPrimary: own.role == .primary, facts)
        default:
            SplitBrainPolicies.withTwoPrimaries(options.afterSplitBrain2Primaries, withoutPrimary: without, facts)
        }
    }

    /// Step 4.
    ///
    /// Deviation: without a common ancestor (rule 100) kernels sync by the bitmaps, which do not tell all differences
    /// then. The full sync here is one for a kernel peer too, because bitmaps are merged.
    private mutating func applyDiscardMyData(_ result: Result, hasAncestor: Bool) -> Result {
        // A Primary that lost by policy and could not be demoted refuses: the peer has decided already, by the policy.
        guard result == .splitBrainWithoutAncestor, demotion != .failed else { return result }
        let own = own.flags.contains(.discardMyData)
        guard own != peer.flags.contains(.discardMyData) else { return result }
        tell(.warning, "Split-Brain detected, manually solved. Sync from \(own ? "peer" : "this") node")
        if hasAncestor { return own ? .targetBitmap : .sourceBitmap }
        return own ? .targetFull : .sourceFull
    }

    /// Step 5.
    private mutating func refuseUnresolved(_ result: Result) -> SyncDecision.Conclusion? {
        guard result == .splitBrainWithoutAncestor else { return nil }
        tell(.critical, "Split-Brain detected but unresolved, dropping connection!")
        tell(
            .error,
            "Split-Brain detected, dropping connection! Both nodes changed data while they were apart: "
                + "choose the node whose changes are given up and connect it with --discard-my-data")
        handlers.append(.splitBrain)
        return .refuse
    }

    /// Steps 6 and 7.
    private mutating func refuseRoles(_ result: Result) -> SyncDecision.Conclusion? {
        let becomesSource = result == .sourceBitmap || result == .sourceFull
        let becomesTarget = result == .targetBitmap || result == .targetFull
        if becomesSource && own.disk <= .inconsistent {
            tell(.error, "I shall become SyncSource, but I am inconsistent!")
            return .refuse
        }
        // The peer refuses likewise. Deviation: kernels do not come here, see step 2.
        if becomesTarget && peer.disk == .inconsistent {
            tell(.error, "I shall become SyncTarget, but the peer is inconsistent!")
            return .refuse
        }
        let isPrimary = own.role == .primary && demotion != .succeeded
        guard becomesTarget, isPrimary, ownDiskNow >= .consistent else { return nil }
        if options.onRoleConflict == .violently {
            tell(.warning, "Becoming SyncTarget, violating the stable-data assumption")
            return nil
        }
        if options.onRoleConflict == .callPriLost { handlers.append(.priLost) }
        tell(.error, "I shall become SyncTarget, but I am primary!")
        return .refuse
    }

    /// Step 8.
    private mutating func endDryRun(_ result: Result) -> SyncDecision.Conclusion {
        switch result {
        case .sourceFull: tell(.info, "dry-run connect: Would become SyncSource, doing a full resync.")
        case .sourceBitmap: tell(.info, "dry-run connect: Would become SyncSource, doing a bit-map based resync.")
        case .targetFull: tell(.info, "dry-run connect: Would become SyncTarget, doing a full resync.")
        case .targetBitmap: tell(.info, "dry-run connect: Would become SyncTarget, doing a bit-map based resync.")
        case .noSync, .splitBrain, .splitBrainWithoutAncestor, .unrelated, .needsProtocol, .needsWriteSame:
            tell(.info, "dry-run connect: No resync, would become Connected immediately.")
        }
        return .dryRun
    }

    /// Steps 9 and 10.
    private mutating func proceed(_ result: Result) -> SyncDecision.Conclusion {
        if result == .sourceFull || result == .targetFull {
            tell(.info, "Writing the whole bitmap, full sync required after drbd_sync_handshake.")
        }
        switch result {
        case .sourceFull: return .proceed(.wfBitMapS, isFull: true)
        case .sourceBitmap: return .proceed(.wfBitMapS, isFull: false)
        case .targetFull: return .proceed(.wfBitMapT, isFull: true)
        case .targetBitmap: return .proceed(.wfBitMapT, isFull: false)
        case .noSync:
            if own.changedBits > 0 { tell(.info, "No resync, but \(own.changedBits) bits in bitmap!") }
            return .proceed(.connected, isFull: false)
        case .splitBrain, .splitBrainWithoutAncestor, .unrelated, .needsProtocol, .needsWriteSame:
            preconditionFailure("\(result) was refused before")
        }
    }
}

/// What the generations of two disks say about each other. Spec: drbd-wire 9.1.
///
/// Both nodes compare, each with its own set first, and must come to mirrored results.
package struct UUIDComparison: Equatable, Sendable {
    package enum Result: Equatable, Sendable {
        case sourceFull
        case sourceBitmap
        case noSync
        case targetBitmap
        case targetFull
        /// Both have changed since the generation that their bitmaps count from.
        case splitBrain
        /// Both have changed, and no bitmap tells what.
        case splitBrainWithoutAncestor
        case unrelated
        /// The peers do not agree on a version that knows the case.
        case needsProtocol(Int)
        case needsWriteSame

        /// The number that kernels log.
        package var number: Int {
            switch self {
            case .sourceFull: 2
            case .sourceBitmap: 1
            case .noSync: 0
            case .targetBitmap: -1
            case .targetFull: -2
            case .splitBrain: 100
            case .splitBrainWithoutAncestor: -100
            case .unrelated: -1000
            case .needsProtocol(let version): -1000 - version
            case .needsWriteSame: -1101
            }
        }

        package var mirrored: Result {
            switch self {
            case .sourceFull: .targetFull
            case .sourceBitmap: .targetBitmap
            case .targetBitmap: .sourceBitmap
            case .targetFull: .sourceFull
            case .noSync, .splitBrain, .splitBrainWithoutAncestor, .unrelated, .needsProtocol, .needsWriteSame: self
            }
        }
    }

    /// A set that missed an event and was corrected for it. The own one is to be made durable before the result is
    /// announced; the peer's is only what this node knows of it.
    package enum Correction: Equatable, Sendable {
        case own(GenerationUUIDs)
        case peer(GenerationUUIDs)
    }

    /// One of the two disks.
    package struct Side: Equatable, Sendable {
        package var uuids: GenerationUUIDs
        /// The node died as Primary and its activity log was applied.
        package var isCrashedPrimary: Bool
        package var isPrimary: Bool

        package init(uuids: GenerationUUIDs, isCrashedPrimary: Bool = false, isPrimary: Bool = false) {
            self.uuids = uuids
            self.isCrashedPrimary = isCrashedPrimary
            self.isPrimary = isPrimary
        }
    }

    /// What both nodes know alike, but for the flag, which one of them has.
    package struct Circumstances: Equatable, Sendable {
        package var resolveConflicts: Bool
        package var agreedVersion: Int
        package var hasWriteSame: Bool
        package var faults: PlantedFaults

        package init(
            resolveConflicts: Bool, agreedVersion: Int = 101, hasWriteSame: Bool = true, faults: PlantedFaults = []
        ) {
            self.resolveConflicts = resolveConflicts
            self.agreedVersion = agreedVersion
            self.hasWriteSame = hasWriteSame
            self.faults = faults
        }

        fileprivate func same(_ left: UInt64, _ right: UInt64) -> Bool {
            faults.contains(.compareUUIDLowBit) ? left == right : GenerationUUIDs.areEqual(left, right)
        }

        /// Whether `sync` is the UUID of a resync that started from the generation `base`. Before version 96 the
        /// next older generation tells instead.
        fileprivate func isSync(_ sync: UInt64, from base: UInt64, olderOwn: UInt64, olderPeer: UInt64) -> Bool {
            agreedVersion >= 96
                ? same(base &+ GenerationUUIDs.syncOffset, sync) : same(olderOwn, olderPeer)
        }
    }

    /// Number of the rule that decided, for the log.
    package var rule: Int
    package var result: Result
    package var correction: Correction?

    private init(_ rule: Int, _ result: Result, _ correction: Correction? = nil) {
        self.rule = rule
        self.result = result
        self.correction = correction
    }

    /// Compares the own set with the peer's.
    package static func compare(own: Side, peer: Side, _ circumstances: Circumstances) -> UUIDComparison {
        if let found = compareFresh(own.uuids, peer.uuids, circumstances) { return found }
        if circumstances.same(own.uuids.current, peer.uuids.current) {
            return compareMissedEnd(own.uuids, peer.uuids, circumstances)
                ?? compareCrashed(own, peer, circumstances)
        }
        return compareOlder(own.uuids, peer.uuids, circumstances)
            ?? compareSplit(own.uuids, peer.uuids, circumstances)
    }

    /// Rules 10 to 30: a disk that never had data takes everything from the other.
    private static func compareFresh(
        _ own: GenerationUUIDs, _ peer: GenerationUUIDs, _ circumstances: Circumstances
    ) -> UUIDComparison? {
        let created = GenerationUUIDs.justCreated
        let isOwnNew = circumstances.same(own.current, created)
        let isPeerNew = circumstances.same(peer.current, created)
        if isOwnNew && isPeerNew { return UUIDComparison(10, .noSync) }
        if isOwnNew || circumstances.same(own.current, 0), !isPeerNew { return UUIDComparison(20, .targetFull) }
        if isPeerNew || circumstances.same(peer.current, 0) { return UUIDComparison(30, .sourceFull) }
        return nil
    }

    /// Rules 34 to 37: the same data, but one side has a bitmap open: it was the source of a resync whose end it
    /// missed, or it began no new generation.
    private static func compareMissedEnd(
        _ own: GenerationUUIDs, _ peer: GenerationUUIDs, _ circumstances: Circumstances
    ) -> UUIDComparison? {
        guard (own.bitmap == 0) != (peer.bitmap == 0) else { return nil }
        let isOwnOpen = own.bitmap != 0
        let (open, closed) = isOwnOpen ? (own, peer) : (peer, own)
        let missedEnd =
            circumstances.same(open.bitmap, closed.history0) && circumstances.same(open.history0, closed.history1)
        let rule = isOwnOpen ? (missedEnd ? 34 : 36) : (missedEnd ? 35 : 37)
        if circumstances.agreedVersion < 91 { return UUIDComparison(rule, .needsProtocol(91)) }
        let result: Result = isOwnOpen ? .sourceBitmap : .targetBitmap
        guard missedEnd else { return UUIDComparison(rule, result) }
        var corrected = open
        corrected.closeBitmap()
        return UUIDComparison(rule, result, isOwnOpen ? .own(corrected) : .peer(corrected))
    }

    /// Rules 40 and 41: the same data, unless a Primary died and may have written on one side only.
    private static func compareCrashed(
        _ own: Side, _ peer: Side, _ circumstances: Circumstances
    ) -> UUIDComparison {
        guard own.isCrashedPrimary || peer.isCrashedPrimary else { return UUIDComparison(40, .noSync) }
        switch (own.isPrimary, peer.isPrimary) {
        case (true, true):
            return UUIDComparison(41, circumstances.hasWriteSame ? .splitBrainWithoutAncestor : .needsWriteSame)
        case (true, false):
            return UUIDComparison(41, circumstances.hasWriteSame ? .sourceBitmap : .needsWriteSame)
        case (false, true):
            return UUIDComparison(41, circumstances.hasWriteSame ? .targetBitmap : .needsWriteSame)
        case (false, false):
            let isSource =
                own.isCrashedPrimary && peer.isCrashedPrimary
                ? !circumstances.resolveConflicts : own.isCrashedPrimary
            return UUIDComparison(40, isSource ? .sourceBitmap : .targetBitmap)
        }
    }

    /// Rules 50 to 80: one side's data is a generation that the other has left behind.
    private static func compareOlder(
        _ own: GenerationUUIDs, _ peer: GenerationUUIDs, _ circumstances: Circumstances
    ) -> UUIDComparison? {
        if circumstances.same(own.current, peer.bitmap) { return UUIDComparison(50, .targetBitmap) }
        if let corrected = withoutLostSync(of: peer, seenBy: own, circumstances) {
            return circumstances.agreedVersion < 91
                ? UUIDComparison(51, .needsProtocol(91)) : UUIDComparison(51, .targetBitmap, .peer(corrected))
        }
        if let corrected = withoutOpenResync(peer, endedBy: own, circumstances) {
            return UUIDComparison(52, .targetBitmap, .peer(corrected))
        }
        if isInHistory(own.current, of: peer, circumstances) { return UUIDComparison(60, .targetFull) }
        if circumstances.same(own.bitmap, peer.current) { return UUIDComparison(70, .sourceBitmap) }
        if let corrected = withoutLostSync(of: own, seenBy: peer, circumstances) {
            return circumstances.agreedVersion < 91
                ? UUIDComparison(71, .needsProtocol(91)) : UUIDComparison(71, .sourceBitmap, .own(corrected))
        }
        if let corrected = withoutOpenResync(own, endedBy: peer, circumstances) {
            return UUIDComparison(72, .sourceBitmap, .own(corrected))
        }
        if isInHistory(peer.current, of: own, circumstances) { return UUIDComparison(80, .sourceFull) }
        return nil
    }

    /// Rules 52 and 72, which kernels do not have (they copy everything, rules 60 and 80): the source missed the end of
    /// the resync and went on in a new generation, see ``GenerationUUIDs/beginGenerationKeepingBitmap``. Its set as it
    /// would be if it had seen the end; nil if that is not what happened.
    private static func withoutOpenResync(
        _ source: GenerationUUIDs, endedBy target: GenerationUUIDs, _ circumstances: Circumstances
    ) -> GenerationUUIDs? {
        guard source.bitmap != 0, circumstances.same(source.history0, target.current),
            circumstances.same(source.bitmap, target.history0),
            circumstances.same(source.history1, target.history1)
        else { return nil }
        var corrected = source
        corrected.bitmap = source.history0
        corrected.history0 = source.bitmap
        return corrected
    }

    /// Rules 51 and 71: the source's set as it was before a P_SYNC_UUID that the target never got; nil if that is not
    /// what happened. The source may have gone on since, see ``GenerationUUIDs/beginGenerationKeepingBitmap``.
    private static func withoutLostSync(
        of source: GenerationUUIDs, seenBy target: GenerationUUIDs, _ circumstances: Circumstances
    ) -> GenerationUUIDs? {
        var corrected = source
        if circumstances.same(target.current, source.history0),
            circumstances.isSync(
                source.bitmap, from: source.history0, olderOwn: target.history0, olderPeer: source.history1)
        {
            corrected.bitmap = source.history0
            corrected.history0 = source.history1
            return corrected
        }
        let base = source.history1
        guard source.bitmap != 0, circumstances.same(target.current, base),
            circumstances.same(base &+ GenerationUUIDs.syncOffset, source.bitmap)
        else { return nil }
        corrected.bitmap = base
        corrected.history1 = target.history0
        return corrected
    }

    /// The source's set with the bitmap counting from `base` again, which the target's bitmap does too; nil if it counts
    /// from something else.
    private static func withoutLostSync(
        of source: GenerationUUIDs, insteadOf base: UInt64, _ circumstances: Circumstances
    ) -> GenerationUUIDs? {
        guard base != 0, circumstances.same(base &+ GenerationUUIDs.syncOffset, source.bitmap) else { return nil }
        var corrected = source
        if circumstances.same(source.history0, base) {
            corrected.history0 = source.history1
        } else if !circumstances.same(source.history1, base) {
            return nil
        }
        corrected.bitmap = base
        return corrected
    }

    private static func isInHistory(
        _ uuid: UInt64, of uuids: GenerationUUIDs, _ circumstances: Circumstances
    ) -> Bool {
        circumstances.same(uuid, uuids.history0) || circumstances.same(uuid, uuids.history1)
    }

    /// Rules 90 and 100: both sides have gone on by themselves. Empty history slots count as equal ones, as in
    /// kernels: two disks that share nothing are a split brain rather than unrelated if both have one.
    private static func compareSplit(
        _ own: GenerationUUIDs, _ peer: GenerationUUIDs, _ circumstances: Circumstances
    ) -> UUIDComparison {
        if own.bitmap != 0 && circumstances.same(own.bitmap, peer.bitmap) { return UUIDComparison(90, .splitBrain) }
        // A resync that would have ended a split brain before began here, and the target never learned of it. Kernels let
        // each of these push what both have in common further out of the history.
        if let corrected = withoutLostSync(of: own, insteadOf: peer.bitmap, circumstances) {
            return UUIDComparison(100, .splitBrainWithoutAncestor, .own(corrected))
        }
        if let corrected = withoutLostSync(of: peer, insteadOf: own.bitmap, circumstances) {
            return UUIDComparison(100, .splitBrainWithoutAncestor, .peer(corrected))
        }
        if isInHistory(own.history0, of: peer, circumstances) || isInHistory(own.history1, of: peer, circumstances) {
            return UUIDComparison(100, .splitBrainWithoutAncestor)
        }
        // Kernels do not look at the bitmaps' generations here; one that went on after a resync has less history.
        let isRelated =
            own.bitmap != 0 && isInHistory(own.bitmap, of: peer, circumstances)
            || peer.bitmap != 0 && isInHistory(peer.bitmap, of: own, circumstances)
        if isRelated { return UUIDComparison(100, .splitBrainWithoutAncestor) }
        return UUIDComparison(100, .unrelated)
    }
}

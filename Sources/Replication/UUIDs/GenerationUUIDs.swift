package import DRBDLayout

/// The data generations of one disk: which writes it has seen, as far as two disks must know to find out who lags.
///
/// - `current` names the data now.
/// - `bitmap` names the data that the bitmap counts changes from; 0: both disks are the same, or no bitmap is kept.
/// - `history0`, `history1`: generations before, youngest first.
///
/// The lowest bit of `current` tells that its holder is or was Primary; it is copied along into the other slots and
/// never compared. Spec: drbd-disk-and-state 7.
package struct GenerationUUIDs: Equatable, Sendable {
    package var current: UInt64
    package var bitmap: UInt64
    package var history0: UInt64
    package var history1: UInt64

    package init(current: UInt64, bitmap: UInt64 = 0, history0: UInt64 = 0, history1: UInt64 = 0) {
        self.current = current
        self.bitmap = bitmap
        self.history0 = history0
        self.history1 = history1
    }

    package init(_ set: UUIDSet) {
        self.init(current: set.current, bitmap: set.bitmap, history0: set.history0, history1: set.history1)
    }

    package init(_ superblock: MetadataSuperblock) {
        self.init(
            current: superblock.current, bitmap: superblock.bitmap, history0: superblock.history0,
            history1: superblock.history1)
    }

    /// Puts the set into a superblock that is about to be written.
    package func store(in superblock: inout MetadataSuperblock) {
        superblock.current = current
        superblock.bitmap = bitmap
        superblock.history0 = history0
        superblock.history1 = history1
    }

    /// `current` of metadata that never had data.
    package static let justCreated = GenerationUUID.justCreated
    /// Distance of a resync's UUID from the generation that it started from.
    package static let syncOffset = GenerationUUID.syncOffset
    private static let roleBit = GenerationUUID.primaryBit

    package static func withRoleBit(_ uuid: UInt64, isPrimary: Bool) -> UInt64 {
        isPrimary ? uuid | roleBit : uuid & ~roleBit
    }

    /// Whether both name the same generation.
    package static func areEqual(_ left: UInt64, _ right: UInt64) -> Bool {
        left & ~roleBit == right & ~roleBit
    }
}

// MARK: Primitives, drbd-disk-and-state 7.2

extension GenerationUUIDs {
    /// Takes over `uuid` as the current generation.
    package mutating func setCurrent(_ uuid: UInt64, isPrimary: Bool) {
        current = Self.withRoleBit(uuid, isPrimary: isPrimary)
    }

    /// The lowest bit of `current` follows the role: at attach, promotion, demotion.
    package mutating func setRole(isPrimary: Bool) {
        setCurrent(current, isPrimary: isPrimary)
    }

    /// Begins a new generation; the one before becomes that of the bitmap.
    ///
    /// - Returns: false if the bitmap belonged to a generation already, which is lost now and worth a warning.
    @discardableResult
    package mutating func beginGeneration(random: UInt64, isPrimary: Bool) -> Bool {
        let wasUnused = bitmap == 0
        bitmap = current
        setCurrent(random, isPrimary: isPrimary)
        return wasUnused
    }

    /// Begins a new generation while the bitmap counts from another one than the present.
    ///
    /// Deviation: a Primary that loses the target of a resync keeps its generation in kernels, since the bitmap has one
    /// already. If the target had just finished, and goes on as Primary, it is then taken for the newer disk, and what
    /// was written here is lost without a split brain.
    package mutating func beginGenerationKeepingBitmap(random: UInt64, isPrimary: Bool) {
        pushHistory(current)
        setCurrent(random, isPrimary: isPrimary)
    }

    /// Whether the bitmap counts from the beginning of a resync with this disk as source, whose end is not known: the
    /// target may have the present generation.
    package var isResyncOpen: Bool {
        guard bitmap != 0 else { return false }
        return [history0, current].contains { Self.areEqual($0 &+ Self.syncOffset, bitmap) }
    }

    /// What ``startResyncAsSource(random:)`` is to take where no generation of the bitmap is continued.
    ///
    /// Deviation: kernels take a random number. This one shows later, also after a crash, that a resync is open.
    package var freshSyncUUID: UInt64 { current &+ Self.syncOffset }

    /// Gives the bitmap a generation without history.
    package mutating func setBitmap(_ uuid: UInt64) {
        precondition(uuid != 0, "the bitmap's generation is closed by closeBitmap()")
        bitmap = uuid & ~Self.roleBit
    }

    /// The bitmap's generation, if any, becomes history.
    package mutating func closeBitmap() {
        guard bitmap != 0 else { return }
        pushHistory(bitmap)
        bitmap = 0
    }

    /// Gives the bitmap another generation, the one before becomes history.
    package mutating func rotateBitmap(to uuid: UInt64) {
        if bitmap != 0 { pushHistory(bitmap) }
        bitmap = uuid
    }

    private mutating func pushHistory(_ uuid: UInt64) {
        history1 = history0
        history0 = uuid
    }
}

// MARK: Events, drbd-disk-and-state 7.3

extension GenerationUUIDs {
    /// A resync begins with this disk as source.
    ///
    /// - Returns: the UUID to send with P_SYNC_UUID, after this set is durable.
    package mutating func startResyncAsSource(random: UInt64) -> UInt64 {
        let isContinuation = bitmap != 0 && bitmap != Self.justCreated
        let uuid = isContinuation ? bitmap &+ Self.syncOffset : random
        rotateBitmap(to: uuid)
        return uuid
    }

    /// P_SYNC_UUID came: a resync begins with this disk as target. What it held is history to nobody.
    package mutating func startResyncAsTarget(syncUUID: UInt64, isPrimary: Bool, faults: PlantedFaults = []) {
        if faults.contains(.rotateOnSyncUUID) { pushHistory(current) }
        setCurrent(syncUUID, isPrimary: isPrimary)
        bitmap = 0
    }

    /// A resync ended with this disk as source, without failed blocks.
    package mutating func finishResyncAsSource() {
        closeBitmap()
    }

    /// A resync ended with this disk as target, without failed blocks: afterwards both disks have the same set.
    ///
    /// - Parameter peer: the source's set as it was last sent, before the resync.
    package mutating func finishResyncAsTarget(peer: GenerationUUIDs, isPrimary: Bool) {
        bitmap = peer.bitmap
        history0 = peer.history0
        history1 = peer.history1
        rotateBitmap(to: current)
        setCurrent(peer.current, isPrimary: isPrimary)
        closeBitmap()
    }

    /// `new-current-uuid`. With `clearsBitmap` the peer is declared equal: no initial sync. The set to send is the one
    /// before the bitmap's generation was dropped, and is returned. Spec: drbd-wire 6.4.
    package mutating func beginGenerationByAdministrator(
        random: UInt64, isPrimary: Bool, clearsBitmap: Bool
    ) -> GenerationUUIDs {
        if !clearsBitmap { closeBitmap() }
        beginGeneration(random: random, isPrimary: isPrimary)
        let announced = self
        if clearsBitmap { bitmap = 0 }
        return announced
    }

    /// P_UUIDS with "skip initial sync" came while this disk is just created: it counts as equal to the peer's.
    /// Spec: drbd-wire 6.4.
    package mutating func skipInitialSync(peerCurrent: UInt64, isPrimary: Bool) {
        setCurrent(peerCurrent, isPrimary: isPrimary)
        bitmap = 0
    }
}

extension GenerationUUIDs: CustomStringConvertible {
    /// Four numbers of 16 digits, as kernels log them.
    package var description: String {
        [current, bitmap, history0, history1].map(Self.digits).joined(separator: ":")
    }

    private static func digits(_ uuid: UInt64) -> String {
        let text = String(uuid, radix: 16, uppercase: true)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}

package import DRBDLayout

/// Why a new data generation begins.
package enum NewGenerationReason: Equatable, Sendable {
    /// This Primary (or the diskless Primary whose data this node keeps) writes on without the peer's copy.
    case peerDataLost
    /// A peer without a disk became Primary and writes to this disk alone.
    case disklessPeerPromoted
    /// The source of a resync is written to without the target, which may have finished.
    case resyncTargetLost
    /// This Primary's disk was still being attached when the connection broke, and goes on alone.
    case attachedAlone
}

extension StateRules {
    /// The flags of the superblock after a state change. To be asked only while a disk is attached (Inconsistent or
    /// better). Spec: drbd-disk-and-state 4 rule 1.
    ///
    /// - Parameter isCrashedPrimary: the run-time bit, after ``clearsCrashedPrimary(from:to:)`` was heeded.
    package static func metadataFlags(
        _ flags: MetadataFlags, after state: DeviceState, isCrashedPrimary: Bool
    ) -> MetadataFlags {
        var new = flags.intersection([.fullSync, .activityLogDisabled])
        if state.disk > .inconsistent { new.insert(.consistent) }
        // The writes of a Primary without a disk are kept here: who crashes then is the crashed Primary.
        let keepsPeerWrites = state.peer == .primary && state.pdsk < .inconsistent
        if state.role == .primary || keepsPeerWrites { new.insert(.primaryIndicator) }
        if state.conn > .wfReportParams { new.insert(.connectedIndicator) }
        if state.disk > .outdated { new.insert(.wasUpToDate) }
        if state.pdsk == .inconsistent || state.pdsk == .outdated { new.insert(.peerOutdated) }
        if isCrashedPrimary { new.insert(.crashedPrimary) }
        return new
    }

    /// Whether a change makes the run-time bit "crashed primary" moot: both disks are UpToDate now and were not before.
    /// Spec: drbd-disk-and-state 4 rule 4.
    ///
    /// Deviation: kernels clear the bit after the flags of that change were computed, so that a crash right after it
    /// counts as another crash of a Primary; here it is asked before.
    package static func clearsCrashedPrimary(from old: DeviceState, to new: DeviceState) -> Bool {
        new.disk == .upToDate && new.pdsk == .upToDate && !(old.disk == .upToDate && old.pdsk == .upToDate)
    }

    /// The disk state that the flags of a superblock stand for at attach. Spec: drbd-disk-and-state 8.1 step 16.
    package static func attachedDiskState(_ flags: MetadataFlags, fencing: DiskOptions.Fencing) -> DiskState {
        guard flags.contains(.consistent) else { return .inconsistent }
        guard flags.contains(.wasUpToDate) else { return .outdated }
        return flags.contains(.peerOutdated) || fencing == .dontCare ? .upToDate : .consistent
    }

    /// Whether a change begins a new data generation, so that a returning peer is seen to lack writes.
    /// Spec: drbd-disk-and-state 7.3, 12 steps 9 and 10.
    ///
    /// - Parameters:
    ///   - bitmapUUID: of the own disk; a generation that is open already covers the new one.
    ///   - isResyncOpen: unless it is that of a resync whose end is not known.
    package static func newGeneration(
        from old: DeviceState, to new: DeviceState, bitmapUUID: UInt64, isResyncOpen: Bool = false,
        mayTargetBeDone: Bool = false, faults: PlantedFaults = []
    ) -> NewGenerationReason? {
        guard new.disk == .upToDate, !faults.contains(.forgetNewCurrentUUID) else { return nil }
        // Deviation: kernels go on in the old generation, as at an attach without the peer.
        if old.disk == .negotiating, new.conn < .connected, new.role == .primary, bitmapUUID == 0 || isResyncOpen {
            return .attachedAlone
        }
        if bitmapUUID != 0 {
            return mayTargetBeDone && isResyncTargetLost(from: old, to: new) ? .resyncTargetLost : nil
        }
        if isPeerDataLost(from: old.pdsk, to: new.pdsk) && (new.role == .primary || new.peer == .primary) {
            return .peerDataLost
        }
        if new.pdsk < .inconsistent && old.peer != .primary && new.peer == .primary { return .disklessPeerPromoted }
        return nil
    }

    private static func isResyncTargetLost(from old: DeviceState, to new: DeviceState) -> Bool {
        guard old.conn == .syncSource || old.conn == .pausedSyncS else { return false }
        if new.conn < .connected { return new.role == .primary }
        return new.pdsk < .inconsistent && (new.role == .primary || new.peer == .primary)
    }

    /// Whether the peer's copy stops following.
    package static func isPeerDataLost(from old: DiskState, to new: DiskState) -> Bool {
        switch old {
        case .inconsistent, .consistent, .upToDate:
            new < .inconsistent || new == .unknown || new == .outdated
        case .unknown:
            new == .diskless || new == .failed || new == .outdated
        case .diskless, .attaching, .failed, .negotiating, .outdated:
            false
        }
    }
}

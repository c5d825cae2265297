/// Extents of 16 MiB that resync requests hold against application writes.
///
/// A resync request may run in an extent while no write is in it, and the reverse. An extent that a resync wants but
/// that writes still use is *draining*: writes in it wait from then on. One extent drains at a time. When a write waits
/// for an extent, resync takes no further requests in it and gives it up as soon as it can.
/// Spec: drbd-disk-and-state 5.3 step 2, 19.2; drbd-wire 11.3.
package struct ResyncExtents {
    package enum Answer: Equatable, Sendable {
        /// One more request holds the extent.
        case locked
        /// Try again when writes have ended or requests were answered.
        case busy
        /// As `busy`, and an extent that was draining is given up: writes that wait for it may try again.
        case yielded
    }

    private struct Holder {
        let extent: UInt32
        var requests: Int
        /// A write waits for it.
        var isWanted: Bool
    }

    /// Most extents held at once.
    package static let countMax = 61
    /// Activity-log extents in one of these.
    private static let ratio: UInt32 = 4

    private var holders: [Holder] = []
    private var draining: Holder?
    private let faults: PlantedFaults

    package init(faults: PlantedFaults = []) {
        self.faults = faults
    }

    package static func extent(ofSector sector: UInt64) -> UInt32 { UInt32(sector >> 15) }
    package static func extent(ofBit bit: Int) -> UInt32 { UInt32(bit >> 12) }

    /// Extents that are held or drain.
    package var count: Int { holders.count + (draining == nil ? 0 : 1) }

    package func isHeld(_ extent: UInt32) -> Bool { holders.contains { $0.extent == extent } }

    /// Whether a write waits for the extent. A resync request that waits for its turn is not to be throttled then.
    /// Spec: drbd-disk-and-state 19.3.
    package func isWanted(_ extent: UInt32) -> Bool {
        holders.contains { $0.extent == extent && $0.isWanted }
            || (draining?.extent == extent && draining?.isWanted == true)
    }

    /// One more resync request in `extent`.
    package mutating func lock(_ extent: UInt32, against log: borrowing ActivityLog) -> Answer {
        if let index = holders.firstIndex(where: { $0.extent == extent }) {
            if holders[index].isWanted { return .busy }
            holders[index].requests += 1
            return .locked
        }
        var gaveUp = false
        if let other = draining, other.extent != extent {
            draining = nil
            gaveUp = true
        }
        if !faults.contains(.skipResyncLock) && isUsedByWrites(extent, log) {
            if draining?.isWanted == true {
                draining = nil
                return .yielded
            }
            if draining == nil { draining = Holder(extent: extent, requests: 0, isWanted: false) }
            return gaveUp ? .yielded : .busy
        }
        guard holders.count < Self.countMax else { return gaveUp ? .yielded : .busy }
        holders.append(Holder(extent: extent, requests: 1, isWanted: draining?.isWanted ?? false))
        draining = nil
        return .locked
    }

    private func isUsedByWrites(_ extent: UInt32, _ log: borrowing ActivityLog) -> Bool {
        for offset in 0..<Self.ratio where log.isInUse(extent * Self.ratio + offset) { return true }
        return false
    }

    /// A resync request is answered. Returns whether the extent is free now, so that writes that wait for it may try.
    @discardableResult
    package mutating func unlock(_ extent: UInt32) -> Bool {
        guard let index = holders.firstIndex(where: { $0.extent == extent }) else {
            preconditionFailure("resync extent \(extent) is not held")
        }
        holders[index].requests -= 1
        guard holders[index].requests == 0 else { return false }
        holders.remove(at: index)
        return true
    }

    /// The resync wants no extent any more for now (pause, end); what is held stays until it is unlocked.
    package mutating func stopDraining() {
        draining = nil
    }

    /// Nothing is held any more: the connection and with it all requests are gone.
    package mutating func removeAll() {
        holders.removeAll(keepingCapacity: true)
        draining = nil
    }

    /// Whether a write in these activity-log extents must wait; the extents it waits for are wanted from now on.
    mutating func blocks(_ activityLogExtents: ClosedRange<UInt32>) -> Bool {
        if holders.isEmpty && draining == nil || faults.contains(.skipResyncLock) { return false }
        let wanted = activityLogExtents.lowerBound / Self.ratio...activityLogExtents.upperBound / Self.ratio
        var isBlocked = false
        for index in holders.indices where wanted.contains(holders[index].extent) {
            holders[index].isWanted = true
            isBlocked = true
        }
        if let extent = draining?.extent, wanted.contains(extent) {
            draining?.isWanted = true
            isBlocked = true
        }
        return isBlocked
    }
}

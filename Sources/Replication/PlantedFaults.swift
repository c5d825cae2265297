/// Rules broken on purpose, so that a simulation can show that it notices each of them. Empty everywhere else.
///
/// Each option disables one rule at the one place that keeps it; the code is otherwise the same. Spec: the sections
/// named at the options.
package struct PlantedFaults: OptionSet, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Breaks: the activity-log transaction is durable before the data write is submitted or sent. With the fault
    /// extents enter the log in core only. Spec: drbd-disk-and-state 5.3 step 4b.
    package static let skipActivityLogWrite = PlantedFaults(rawValue: 1 << 0)
    /// Breaks: the changed bitmap blocks of an evicted extent are durable before the transaction that evicts it.
    /// Spec: drbd-disk-and-state 5.3 step 4a.
    package static let skipBitmapWriteBeforeEviction = PlantedFaults(rawValue: 1 << 1)
    /// Breaks: a mirrored write is acknowledged (P_WRITE_ACK) only when the local disk has completed it.
    /// Spec: drbd-wire 12.2.
    package static let ackBeforeWrite = PlantedFaults(rawValue: 1 << 2)
    /// Breaks: the disks are flushed before P_BARRIER_ACK. Spec: drbd-wire 13.
    package static let barrierAckBeforeFlush = PlantedFaults(rawValue: 1 << 3)
    /// Breaks: an ordinary P_WRITE_ACK never clears a bit. Spec: drbd-disk-and-state 6.
    package static let clearBitOnWriteAck = PlantedFaults(rawValue: 1 << 4)
    /// Breaks: the target of P_SYNC_UUID replaces its current UUID without rotating it into the history.
    /// Spec: drbd-disk-and-state 7.3.
    package static let rotateOnSyncUUID = PlantedFaults(rawValue: 1 << 5)
    /// Breaks: a Primary that loses the peer's data creates a new current UUID. Spec: drbd-disk-and-state 7.3.
    package static let forgetNewCurrentUUID = PlantedFaults(rawValue: 1 << 6)
    /// Breaks: the holder of RESOLVE_CONFLICTS refuses the peer's write that overlaps an own write in flight.
    /// Spec: drbd-wire 14.2.
    package static let ignoreConflicts = PlantedFaults(rawValue: 1 << 7)
    /// Breaks: application writes stay out of a 16 MiB extent while resync requests hold it, and the reverse.
    /// Spec: drbd-disk-and-state 5.3 step 2, drbd-wire 11.3.
    package static let skipResyncLock = PlantedFaults(rawValue: 1 << 8)
    /// Breaks: UUIDs are compared without their lowest bit. Spec: drbd-wire 9.
    package static let compareUUIDLowBit = PlantedFaults(rawValue: 1 << 9)
    /// Breaks: the blocks of writes without a barrier acknowledgement are marked out of sync when the connection is
    /// lost. Spec: drbd-wire 12.3.
    package static let dropOutOfSyncOnDisconnect = PlantedFaults(rawValue: 1 << 10)
    /// Breaks: the holder of RESOLVE_CONFLICTS looks at a write only after all acknowledgements sent before it.
    /// Spec: drbd-wire 14.1.
    package static let ignoreSequenceNumbers = PlantedFaults(rawValue: 1 << 11)
}

/// Rules of the lock manager broken on purpose, so that a simulation can show that it notices each of them. Empty
/// everywhere else.
///
/// Each option disables one rule at the one place that keeps it; the code is otherwise the same. Spec: the sections
/// named at the options.
package struct PlantedFaults: OptionSet, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Breaks: a waiter is granted when the holder in its way has lowered its lock. With the fault, when the holder has
    /// been told. Spec: o2dlm 10.2.
    package static let grantBeforeLowering = PlantedFaults(rawValue: 1 << 0)
    /// Breaks: a lock that waits for its conversion still counts as held at its old mode. Spec: o2dlm 10.2.
    package static let ignoreConverting = PlantedFaults(rawValue: 1 << 1)
    /// Breaks: each remote holder in the way of a waiter is told. Spec: o2dlm 10.2, 10.3.
    package static let loseBlocking = PlantedFaults(rawValue: 1 << 2)
    /// Breaks: the recovery master takes the value blocks that survivors vouch for. Spec: o2dlm 11.
    package static let loseValueInRecovery = PlantedFaults(rawValue: 1 << 3)
    /// Breaks: survivors tell the recovery master of their waiting requests as well. Spec: o2dlm 13.4 step 3.
    package static let forgetWaitersInRecovery = PlantedFaults(rawValue: 1 << 4)
    /// Breaks: the locks of a dead node leave the queues. Spec: o2dlm 13.2.
    package static let keepLocksOfDead = PlantedFaults(rawValue: 1 << 5)
    /// Breaks: what a dead node held is given to nobody before its recovery has ended. Spec: o2dlm 13.2.
    package static let grantDuringRecovery = PlantedFaults(rawValue: 1 << 6)
    /// Breaks: a value block that a dead EX holder may have outdated is none. Spec: o2dlm 11.
    package static let keepOutdatedValue = PlantedFaults(rawValue: 1 << 7)
    /// Breaks: nobody becomes master before every member has answered. Spec: o2dlm 8.1 step 7.4.
    package static let masterBeforeAllVoted = PlantedFaults(rawValue: 1 << 8)
    /// Breaks: a migration carries every lock. Spec: o2dlm 12 step 3.
    package static let loseLockInMigration = PlantedFaults(rawValue: 1 << 9)
    /// Breaks: a node that leaves hands over what it is master of. Spec: o2dlm 6.5 step 3.
    package static let leaveAsMaster = PlantedFaults(rawValue: 1 << 10)
    /// Breaks: a master forgets a resource only when no node has a copy of it. Spec: o2dlm 7.
    package static let forgetReferences = PlantedFaults(rawValue: 1 << 11)
    /// Breaks: a recovery master that dies has its recovery done again by another. Spec: o2dlm 13.5.
    package static let abandonRecovery = PlantedFaults(rawValue: 1 << 12)
    /// Breaks: a host whose membership has ended uses its locks no more. Spec: o2cb 14.
    package static let keepLocksWhenFenced = PlantedFaults(rawValue: 1 << 13)
}

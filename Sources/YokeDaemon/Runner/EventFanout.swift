internal import DRBDLayout
internal import Replication

/// Gets the lines of events. Called on the threads of runners; must not block.
package protocol EventListener: AnyObject, Sendable {
    var hasStatistics: Bool { get }
    func receive(_ lines: [String])
    /// One volume's state changed, for the old `events`.
    func receive(_ volume: VolumeReport, of report: ResourceReport)
}

/// Who listens to a runner, and the states that they were told last.
struct EventFanout {
    var listeners: [any EventListener] = []
    /// By volume number; what ``EventText/changes(from:to:)`` compares with.
    var published: [(volume: VolumeNumber, state: DeviceState)] = []

    func state(of volume: VolumeNumber) -> DeviceState? { published.first { $0.volume == volume }?.state }

    mutating func set(_ state: DeviceState, of volume: VolumeNumber) {
        if let index = published.firstIndex(where: { $0.volume == volume }) {
            published[index].state = state
        } else {
            published.append((volume, state))
        }
    }
}

package import DRBDLayout
internal import Replication

/// The lines of `drbdsetup events2`. Spec: drbd-config-and-tools 13.
package struct EventText {
    package enum Action: String, Sendable { case exists, create, change, destroy, call, response }

    package var hasStatistics: Bool

    package init(hasStatistics: Bool) {
        self.hasStatistics = hasStatistics
    }

    /// The lines that describe a resource as a whole: resource, connection, devices, peer devices.
    package func lines(_ action: Action, _ report: ResourceReport) -> [String] {
        let state = ResourceState(report.snapshot.volumes.map(\.state))
        var lines = [resourceLine(action, report.name, state, from: nil, report)]
        lines.append(connectionLine(action, report, state, from: nil))
        lines += report.volumes.map { deviceLine(action, report.name, $0, from: nil) }
        lines += report.volumes.map { peerDeviceLine(action, report, $0, from: nil) }
        return lines.compactMap(\.self)
    }

    /// The lines for a new resource without its volumes, or one that goes; what is inside goes first.
    package func resourceLines(_ action: Action, _ report: ResourceReport) -> [String] {
        let state = ResourceState([])
        let lines = [
            resourceLine(action, report.name, state, from: nil, report),
            connectionLine(action, report, state, from: nil),
        ].compactMap(\.self)
        return action == .destroy ? lines.reversed() : lines
    }

    /// The lines for a new volume, or one that goes.
    package func lines(_ action: Action, _ volume: VolumeReport, of report: ResourceReport) -> [String] {
        let lines = [
            deviceLine(action, report.name, volume, from: nil), peerDeviceLine(action, report, volume, from: nil),
        ].compactMap(\.self)
        return action == .destroy ? lines.reversed() : lines
    }

    /// The lines for what changed between `old` (states of the volumes before, same order) and `report`.
    package func changes(from old: [DeviceState], to report: ResourceReport) -> [String] {
        let new = report.snapshot.volumes.map(\.state)
        let before = ResourceState(old)
        let after = ResourceState(new)
        var lines = [resourceLine(.change, report.name, after, from: before, report)]
        lines.append(connectionLine(.change, report, after, from: before))
        let pairs = Array(zip(report.volumes, old))
        lines += pairs.map { deviceLine(.change, report.name, $0.0, from: $0.1) }
        lines += pairs.map { peerDeviceLine(.change, report, $0.0, from: $0.1) }
        return lines.compactMap(\.self)
    }

    /// `call helper ...` and `response helper ... status:N`.
    package static func helperLine(
        _ action: Action, report: ResourceReport, volume: VolumeReport?, handler: String, status: Int32?
    ) -> String {
        var line = "\(action.rawValue) helper name:\(report.name)"
        if report.hasNetwork { line += " peer-node-id:0 conn-name:peer" }
        if let volume { line += " volume:\(volume.snapshot.volume) minor:\(volume.minor)" }
        line += " helper:\(handler)"
        if let status { line += " status:\(status)" }
        return line
    }

    // MARK: Lines; nil when nothing of the object changed.

    private func resourceLine(
        _ action: Action, _ name: String, _ state: ResourceState, from old: ResourceState?, _ report: ResourceReport
    ) -> String? {
        var fields: [StatisticsField] = []
        if old?.role != state.role { fields.append(StatisticsField("role", state.role.name)) }
        if old?.suspended != state.suspended { fields.append(StatisticsField("suspended", state.suspended)) }
        let statistics = [StatisticsField("write-ordering", report.snapshot.writeOrdering)]
        return line(action, "resource name:\(name)", fields, statistics, isChange: old != nil)
    }

    private func connectionLine(
        _ action: Action, _ report: ResourceReport, _ state: ResourceState, from old: ResourceState?
    ) -> String? {
        var fields: [StatisticsField] = []
        if old?.connection != state.connection { fields.append(StatisticsField("connection", state.connection)) }
        if old?.peer != state.peer { fields.append(StatisticsField("role", state.peer.name)) }
        let key = "connection name:\(report.name) \(peerKey(report))"
        return line(action, key, fields, [StatisticsField("congested", "no")], isChange: old != nil)
    }

    private func deviceLine(
        _ action: Action, _ name: String, _ volume: VolumeReport, from old: DeviceState?
    ) -> String? {
        let snapshot = volume.snapshot
        var fields: [StatisticsField] = []
        if old?.disk != snapshot.state.disk { fields.append(StatisticsField("disk", snapshot.state.disk.name)) }
        let statistics = old == nil ? snapshot.deviceStatistics : snapshot.deviceCounters
        let key = "device name:\(name) volume:\(snapshot.volume) minor:\(volume.minor)"
        return line(action, key, fields, statistics, isChange: old != nil)
    }

    private func peerDeviceLine(
        _ action: Action, _ report: ResourceReport, _ volume: VolumeReport, from old: DeviceState?
    ) -> String? {
        let state = volume.snapshot.state
        var fields: [StatisticsField] = []
        if old?.replicationWord != state.replicationWord {
            fields.append(StatisticsField("replication", state.replicationWord))
        }
        if old?.pdsk != state.pdsk { fields.append(StatisticsField("peer-disk", state.pdsk.name)) }
        if old?.resyncSuspendedWord != state.resyncSuspendedWord {
            fields.append(StatisticsField("resync-suspended", state.resyncSuspendedWord))
        }
        let key = "peer-device name:\(report.name) \(peerKey(report)) volume:\(volume.snapshot.volume)"
        return line(action, key, fields, volume.snapshot.peerStatistics, isChange: old != nil)
    }

    private func peerKey(_ report: ResourceReport) -> String {
        report.hasNetwork ? "peer-node-id:0 conn-name:peer" : "peer-node-id:0"
    }

    private func line(
        _ action: Action, _ key: String, _ fields: [StatisticsField], _ statistics: [StatisticsField], isChange: Bool
    ) -> String? {
        if action == .destroy { return "destroy \(key)" }
        if isChange && fields.isEmpty { return nil }
        let all = hasStatistics ? fields + statistics : fields
        return ([action.rawValue, key] + all.map(\.text)).joined(separator: " ")
    }
}

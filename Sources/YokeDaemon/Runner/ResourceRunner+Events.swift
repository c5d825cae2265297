internal import DRBDLayout
internal import Replication

// Events for listeners (`drbdsetup events2`). Spec: drbd-config-and-tools 13.
extension ResourceRunner {
    /// Registers a listener and returns the lines that describe the resource now. On the reactor's thread.
    func addListener(_ listener: any EventListener) -> [String] {
        events.listeners.append(listener)
        return EventText(hasStatistics: listener.hasStatistics).lines(.exists, report())
    }

    func removeListener(_ listener: any EventListener) {
        events.listeners.removeAll { $0 === listener }
    }

    func publish(_ event: StateChangeEvent) {
        switch event {
        case .volume(let volume, let old, let new): publishChange(of: volume, from: old, to: new)
        case .networkConfiguration(let isPresent):
            if !isPresent { host.networkConfigurationGone(of: self) }
        case .handlerCalled(let name, let volume):
            tellHelper(.call, name, volume, status: nil)
        case .handlerAnswered(let name, let volume, let status):
            tellHelper(.response, name, volume, status: status)
        }
    }

    /// Lines for something that came or went.
    func publishObject(_ action: EventText.Action, _ record: VolumeRecord?) {
        guard !events.listeners.isEmpty else { return }
        let report = report()
        for listener in events.listeners {
            let text = EventText(hasStatistics: listener.hasStatistics)
            if let record {
                guard let volume = report.volumes.first(where: { $0.minor == record.minor }) else { continue }
                listener.receive(text.lines(action, volume, of: report))
            } else {
                listener.receive(text.resourceLines(action, report))
            }
        }
    }

    private func publishChange(of volume: VolumeNumber, from old: DeviceState, to new: DeviceState) {
        if new.conn >= .connected { trouble = nil }
        let before = events.state(of: volume) ?? old
        events.set(new, of: volume)
        guard !events.listeners.isEmpty else { return }
        var report = report()
        var oldStates: [DeviceState] = []
        // The snapshot may be ahead of this event: show the states as they were published.
        for index in report.volumes.indices {
            let number = report.volumes[index].snapshot.volume
            let state = events.state(of: number) ?? report.volumes[index].snapshot.state
            report.volumes[index].snapshot.state = state
            report.snapshot.volumes[index].state = state
            oldStates.append(number == volume ? before : state)
        }
        for listener in events.listeners {
            let lines = EventText(hasStatistics: listener.hasStatistics).changes(from: oldStates, to: report)
            if !lines.isEmpty { listener.receive(lines) }
            if let changed = report.volumes.first(where: { $0.snapshot.volume == volume }) {
                listener.receive(changed, of: report)
            }
        }
    }

    private func tellHelper(_ action: EventText.Action, _ name: String, _ volume: VolumeNumber?, status: Int32?) {
        guard !events.listeners.isEmpty else { return }
        let report = report()
        let subject = volume.flatMap { number in report.volumes.first { $0.snapshot.volume == number } }
        let line = EventText.helperLine(action, report: report, volume: subject, handler: name, status: status)
        for listener in events.listeners { listener.receive([line]) }
    }
}

internal import EngineKit

extension ReplicationEngine {
    /// A line about the resource or its connection.
    func log(_ level: LogLevel, _ text: String) {
        actions.append(.log(LogRecord(level, "drbd \(name): \(text)")))
    }

    /// A line about a volume.
    func log(_ level: LogLevel, _ volume: Volume, _ text: String) {
        actions.append(.log(LogRecord(level, "drbd \(name)/\(volume.number): \(text)")))
    }
}

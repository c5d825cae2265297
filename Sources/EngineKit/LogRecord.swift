/// How much a log line matters; the names of swift-log.
package enum LogLevel: Int, Comparable, Sendable {
    case debug, info, notice, warning, error, critical

    package static func < (left: LogLevel, right: LogLevel) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// One line for the log, as an engine says it.
package struct LogRecord: Equatable, Sendable {
    package var level: LogLevel
    package var text: String

    package init(_ level: LogLevel, _ text: String) {
        self.level = level
        self.text = text
    }
}

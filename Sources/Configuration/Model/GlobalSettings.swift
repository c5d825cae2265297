/// The `global` section. Spec: drbd-config-and-tools 5.6.
package struct GlobalSettings: Equatable, Sendable {
    package enum UsageCount: String, Equatable, Sendable { case yes, no, ask }

    package var isIPVerificationDisabled = false
    package var alwaysUsesVolumeNumberInUdev = false
    /// Nil if not set; 32 is the default.
    package var minorCount: Int?
    /// Seconds; 1 is the default.
    package var dialogRefreshSeconds = 1
    /// Seconds for queries.
    package var commandTimeoutShortSeconds = 5
    /// Seconds for state changes.
    package var commandTimeoutMediumSeconds = 600
    /// Seconds for attach, connect and the like; 0 is no limit.
    package var commandTimeoutLongSeconds = 0
    /// Read, and never acted upon: nothing is reported to anybody.
    package var usageCount = UsageCount.ask

    package init() {}

    /// The ranges that are checked while reading.
    static func range(of name: String) -> ClosedRange<Int64>? {
        switch name {
        case "minor-count": 1...255
        case "dialog-refresh": 0...600
        case "cmd-timeout-short", "cmd-timeout-medium", "cmd-timeout-long": 0...900
        default: nil
        }
    }
}

/// Where the meta data of a volume is. Spec: drbd-config-and-tools 4.8.
package enum MetaDisk: Equatable, Sendable {
    case `internal`
    /// A device of its own, as large as it needs to be.
    case flexible(String)
    /// A place in a device that several volumes share.
    case indexed(String, Int)
}

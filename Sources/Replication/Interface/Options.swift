package import EngineKit

// Options of a resource with the defaults of 8.4. Names, units, ranges: drbd-config-and-tools 5; meaning: the wire and
// disk chapters. Values are in the unit of the configuration unless the type says otherwise; ranges are checked before
// they come here.

/// Spec: drbd-config-and-tools 5.1.
package struct ResourceOptions: Equatable, Sendable {
    package enum NoDataPolicy: UInt32, Sendable { case ioError = 0, suspendIO = 1 }

    package var onNoDataAccessible = NoDataPolicy.ioError

    package init() {}
}

/// Spec: drbd-config-and-tools 5.2.
package struct DiskOptions: Equatable, Sendable {
    package enum IOErrorPolicy: UInt32, Sendable { case passOn = 0, callLocalIOError = 1, detach = 2 }
    package enum Fencing: UInt32, Comparable, Sendable {
        case dontCare = 0, resourceOnly = 1, resourceAndStonith = 2

        package static func < (left: Fencing, right: Fencing) -> Bool { left.rawValue < right.rawValue }
    }

    /// Configured size in sectors; 0 is none.
    package var sizeSectors: UInt64 = 0
    package var onIOError = IOErrorPolicy.detach
    package var fencing = Fencing.dontCare
    package var diskFlushes = true
    package var diskDrain = true
    package var metadataFlushes = true
    /// KiB/s.
    package var resyncRate = 250
    /// Volume of the same daemon that resyncs first (its minor); nil is none. Served by the owner.
    package var resyncAfterMinor: Int?
    package var activityLogExtents = 1237
    package var activityLogUpdates = true
    package var discardZeroesIfAligned = true
    /// 0.1 s; 0 switches the controller off.
    package var planAhead = 20
    /// 0.1 s.
    package var delayTarget = 10
    /// Sectors.
    package var fillTarget = 100
    /// KiB/s.
    package var rateMax = 102_400
    /// KiB/s; 0 never throttles.
    package var rateMin = 250
    /// 0.1 s; 0 is off.
    package var diskTimeout = 0
    /// Bytes; 0 is off.
    package var resyncDiscardGranularity = 0

    package init() {}
}

/// Spec: drbd-config-and-tools 5.3, drbd-wire 6.1.
package struct NetworkOptions: Equatable, Sendable {
    package enum WireProtocol: UInt32, Sendable { case a = 1, b = 2, c = 3 }

    /// After-split-brain policies with the numbers of the wire. Spec: drbd-wire 6.1.
    package enum SplitBrainPolicy: UInt32, Sendable {
        case disconnect = 0
        case discardYoungerPrimary = 1
        case discardOlderPrimary = 2
        case discardZeroChanges = 3
        case discardLeastChanges = 4
        case discardLocal = 5
        case discardRemote = 6
        case consensus = 7
        case discardSecondary = 8
        case callPriLost = 9
        case violently = 10
    }

    package enum CongestionPolicy: UInt32, Sendable { case block = 0, pullAhead = 1, disconnect = 2 }

    package var wireProtocol = WireProtocol.c
    /// 0.1 s.
    package var timeout = 60
    package var epochSizeMax = 2048
    /// Pages of 4 KiB.
    package var buffersMax = 2048
    /// Seconds.
    package var connectInterval = 10
    /// Seconds.
    package var pingInterval = 10
    /// 0.1 s.
    package var pingTimeout = 5
    /// Bytes; 0 leaves it to TCP.
    package var sendBufferSize = 0
    package var receiveBufferSize = 0
    /// 0 is off.
    package var koCount = 7
    package var allowTwoPrimaries = false
    /// Nil: no authentication.
    package var authenticationAlgorithm: DigestAlgorithm?
    /// Without a trailing zero byte, at most 63 bytes.
    package var sharedSecret: [UInt8] = []
    package var afterSplitBrain0Primaries = SplitBrainPolicy.disconnect
    package var afterSplitBrain1Primary = SplitBrainPolicy.disconnect
    package var afterSplitBrain2Primaries = SplitBrainPolicy.disconnect
    package var alwaysAfterSplitBrainPolicies = false
    /// disconnect, callPriLost or violently.
    package var onRoleConflict = SplitBrainPolicy.disconnect
    package var verifyAlgorithm: DigestAlgorithm?
    package var onCongestion = CongestionPolicy.block
    /// Sectors.
    package var congestionFill = 0
    package var congestionExtents = 1237
    /// Run-length code for bitmaps.
    package var useRunLengthEncoding = true
    /// 0.1 s; 0 uses the ping timeout.
    package var socketCheckTimeout = 0

    package init() {}
}

/// State of a volume's connection. The order matters: the rules compare by number. Spec: drbd-disk-and-state 10.
@frozen @usableFromInline
package enum ConnectionState: UInt8, CaseIterable, Sendable {
    /// No network configuration, or given up.
    case standAlone = 0
    case disconnecting = 1
    /// Between two attempts.
    case unconnected = 2
    case timeout = 3
    case brokenPipe = 4
    case networkFailure = 5
    case protocolError = 6
    /// The peer closes on purpose.
    case tearDown = 7
    /// Listening and connecting.
    case wfConnection = 8
    /// Sockets are up, the handshake runs.
    case wfReportParams = 9
    case connected = 10
    case startingSyncS = 11
    case startingSyncT = 12
    case wfBitMapS = 13
    case wfBitMapT = 14
    /// The target waits for P_SYNC_UUID.
    case wfSyncUUID = 15
    case syncSource = 16
    case syncTarget = 17
    case verifyS = 18
    case verifyT = 19
    case pausedSyncS = 20
    case pausedSyncT = 21
    /// Congestion mode of protocol A.
    case ahead = 22
    case behind = 23
}

extension ConnectionState: Comparable {
    @inlinable
    package static func < (left: ConnectionState, right: ConnectionState) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension ConnectionState: CustomStringConvertible {
    /// The classic name, for logs and status.
    package var name: String {
        switch self {
        case .standAlone: "StandAlone"
        case .disconnecting: "Disconnecting"
        case .unconnected: "Unconnected"
        case .timeout: "Timeout"
        case .brokenPipe: "BrokenPipe"
        case .networkFailure: "NetworkFailure"
        case .protocolError: "ProtocolError"
        case .tearDown: "TearDown"
        case .wfConnection: "WFConnection"
        case .wfReportParams: "WFReportParams"
        case .connected: "Connected"
        case .startingSyncS: "StartingSyncS"
        case .startingSyncT: "StartingSyncT"
        case .wfBitMapS: "WFBitMapS"
        case .wfBitMapT: "WFBitMapT"
        case .wfSyncUUID: "WFSyncUUID"
        case .syncSource: "SyncSource"
        case .syncTarget: "SyncTarget"
        case .verifyS: "VerifyS"
        case .verifyT: "VerifyT"
        case .pausedSyncS: "PausedSyncS"
        case .pausedSyncT: "PausedSyncT"
        case .ahead: "Ahead"
        case .behind: "Behind"
        }
    }

    @usableFromInline package var description: String { name }
}

/// The timers that all members of a cluster must agree on. Spec: o2cb 1, 3.1.
///
/// They are a property of the cluster's configuration: two members compare them when they connect and refuse each other
/// if they differ, so they are never changed behind the admin's back. Where the file says nothing, those of the kernel
/// hold, which a kernel host would have too.
package struct ClusterTimers: Equatable, Sendable {
    /// Heartbeats that may be missed, 2 s each, before a node counts as dead.
    package var threshold: Int
    package var idleTimeoutMilliseconds: Int
    package var keepaliveDelayMilliseconds: Int
    /// Not compared between members.
    package var reconnectDelayMilliseconds: Int

    package init(
        threshold: Int = 31, idleTimeoutMilliseconds: Int = 30000, keepaliveDelayMilliseconds: Int = 2000,
        reconnectDelayMilliseconds: Int = 2000
    ) {
        self.threshold = threshold
        self.idleTimeoutMilliseconds = idleTimeoutMilliseconds
        self.keepaliveDelayMilliseconds = keepaliveDelayMilliseconds
        self.reconnectDelayMilliseconds = reconnectDelayMilliseconds
    }

    /// Those of a kernel host: a death is noticed after 62 to 65 s.
    package static let kernel = ClusterTimers()

    /// Those that Yoke writes for a pair of Yoke hosts: silence on the network is noticed after 5 s, a death after 8 s.
    ///
    /// A disk that does not answer for 6 s makes the host give up its mounts; so a cluster on slow storage wants a
    /// higher threshold. With a kernel host in the cluster it must have the same values.
    package static let yokePair = ClusterTimers(
        threshold: 4, idleTimeoutMilliseconds: 5000, keepaliveDelayMilliseconds: 1000,
        reconnectDelayMilliseconds: 2000)

    package static let heartbeatIntervalMilliseconds = 2000

    /// After this silence of its heartbeat a node is dead; advertised in the heartbeat block.
    package var deadTimeMilliseconds: Int { threshold * Self.heartbeatIntervalMilliseconds }
    /// A host that could not write its heartbeat for so long gives up. Also in the handshake of a connection.
    package var writeTimeoutMilliseconds: Int { (threshold - 1) * Self.heartbeatIntervalMilliseconds }
    /// From the loss of a connection to the decision of the quorum.
    package var quorumDelayMilliseconds: Int { (threshold + 2) * Self.heartbeatIntervalMilliseconds }

    package subscript(_ timer: ServiceSettings.Timer) -> Int {
        get {
            switch timer {
            case .threshold: threshold
            case .idle: idleTimeoutMilliseconds
            case .keepalive: keepaliveDelayMilliseconds
            case .reconnect: reconnectDelayMilliseconds
            }
        }
        set {
            switch timer {
            case .threshold: threshold = newValue
            case .idle: idleTimeoutMilliseconds = newValue
            case .keepalive: keepaliveDelayMilliseconds = newValue
            case .reconnect: reconnectDelayMilliseconds = newValue
            }
        }
    }

    /// Values that the node manager refuses are errors; below the minimum of the dialogue, warnings.
    ///
    /// The recommended values of Yoke pairs are below one of these minimums on purpose and are not warned about.
    /// Spec: o2cb 3.1, 5.2.
    package func problems(at locations: [ServiceSettings.Timer: SourceLocation] = [:]) -> [Diagnostic] {
        var problems: [Diagnostic] = []
        for timer in ServiceSettings.Timer.allCases where self[timer] < timer.hardMinimum {
            problems.append(
                ClusterFault.diagnostic(
                    .outOfRange, at: locations[timer], found: "\(timer.variable) = \(self[timer])",
                    expected: "at least \(timer.hardMinimum)", fix: "the usual value is \(Self.kernel[timer])"))
        }
        if keepaliveDelayMilliseconds >= idleTimeoutMilliseconds {
            problems.append(
                ClusterFault.diagnostic(
                    .outOfRange, at: locations[.keepalive] ?? locations[.idle],
                    found: "\(ServiceSettings.Timer.keepalive.variable) = \(keepaliveDelayMilliseconds)",
                    expected: "less than \(ServiceSettings.Timer.idle.variable), \(idleTimeoutMilliseconds)",
                    fix: "a connection would be given up before it is tried"))
        }
        guard problems.isEmpty, self != Self.yokePair else { return problems }
        for timer in ServiceSettings.Timer.allCases where self[timer] < timer.minimum {
            problems.append(
                ClusterFault.diagnostic(
                    .outOfRange, .warning, at: locations[timer], found: "\(timer.variable) = \(self[timer])",
                    expected: "at least \(timer.minimum)",
                    fix: "a short stall of the disk or network counts as a death; all hosts must have the same value"))
        }
        return problems
    }
}

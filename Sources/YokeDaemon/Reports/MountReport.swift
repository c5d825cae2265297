internal import EngineKit
internal import FileSystem
internal import LinuxReactor
internal import O2Layout

/// A mounted filesystem as `yoke status` shows it.
package struct MountReport: Equatable, Sendable {
    /// What the host is in the volume's cluster.
    package struct Member: Equatable, Sendable {
        package var cluster: String
        package var node: UInt8
        /// Nodes that have the volume mounted, this one included.
        package var members: [UInt8]
        /// Nodes whose signs of life are seen.
        package var alive: [UInt8]
        /// Milliseconds since the last own sign of life that got through; nil before the first.
        package var heartbeatAgeMilliseconds: UInt64?
        /// Who goes on if the hosts lose each other, while that is in question.
        package var verdict: String?
        /// The verdict is that nothing goes on here.
        package var isFrozen = false

        package init(cluster: String, node: UInt8, members: [UInt8], alive: [UInt8]) {
            self.cluster = cluster
            self.node = node
            self.members = members
            self.alive = alive
        }
    }

    package var source: String
    package var directory: String
    /// Why it serves nothing any more.
    package var stopReason: String?
    /// Damage was found that made it read-only.
    package var isFaulty = false
    /// Nil for a volume that the host has to itself.
    package var member: Member?
    /// It is no mount yet, but a line of fstab that the daemon keeps, and this is what it waits for.
    package var obstacle: String?

    package init(source: String, directory: String, member: Member? = nil, obstacle: String? = nil) {
        self.source = source
        self.directory = directory
        self.member = member
        self.obstacle = obstacle
    }

    /// A mount that waits serves nothing yet, but is on its way; one that has stopped, or is frozen, is broken.
    package var health: Health.Level {
        if stopReason != nil || member?.isFrozen == true { return .broken }
        return obstacle != nil || isFaulty ? .degraded : .healthy
    }

    /// What is behind the name, without the details.
    package var sentence: String {
        if let obstacle { return "waits - \(obstacle)" }
        if let stopReason { return "STOPPED - \(stopReason)" }
        if let member, member.isFrozen { return "FROZEN" }
        return (isFaulty ? "READ-ONLY after damage was found" : "mounted")
            + (member == nil ? ", for this host alone" : "")
    }

    package var text: String { text(isColoured: false) }

    package func text(isColoured: Bool) -> String {
        let state = isColoured ? TerminalText.painted(sentence, health) : sentence
        var lines = ["\(source) on \(directory): \(state)"]
        if let member {
            lines.append(
                "  cluster     \(member.cluster), node \(member.node), members \(Self.list(member.members)), alive "
                    + Self.list(member.alive))
            if let age = member.heartbeatAgeMilliseconds { lines.append("  heartbeat   \(age) ms ago") }
            if let verdict = member.verdict { lines.append("  verdict     \(verdict)") }
        }
        if stopReason != nil {
            lines.append("  to do       yoke umount \(directory), then mount it again")
        } else if isFaulty {
            lines.append("  to do       see the log; unmount it on all hosts, and run fsck.ocfs2")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    package var json: JSONText {
        func list(_ nodes: [UInt8]) -> JSONText { .array(nodes.map { .number(UInt64($0)) }) }
        var members: [JSONText.Member] = [
            .init("source", .string(source)), .init("directory", .string(directory)),
            .init("health", .string(health.word.lowercased())),
            .init("isMounted", .boolean(obstacle == nil)),
            .init("waitsFor", obstacle.map(JSONText.string) ?? .null),
            .init("isClustered", .boolean(member != nil)),
            .init("stopReason", stopReason.map(JSONText.string) ?? .null), .init("isFaulty", .boolean(isFaulty)),
        ]
        if let member {
            members += [
                .init("cluster", .string(member.cluster)), .init("node", .number(UInt64(member.node))),
                .init("members", list(member.members)), .init("alive", list(member.alive)),
                .init("heartbeatAgeMilliseconds", member.heartbeatAgeMilliseconds.map(JSONText.number) ?? .null),
                .init("verdict", member.verdict.map(JSONText.string) ?? .null),
            ]
        }
        return .object(members)
    }

    private static func list(_ nodes: [UInt8]) -> String {
        nodes.isEmpty ? "none" : nodes.map(String.init).joined(separator: " ")
    }
}

extension ServedMount {
    /// Nil when the mount has ended.
    func report() async -> MountReport? {
        await Promise<MountReport>.wait { promise in
            reactor.post { [self] in
                var report = MountReport(
                    source: source, directory: directory, member: membership.map { $0.report() })
                report.stopReason = membership?.stopReason ?? volume?.stopReason
                report.isFaulty = volume?.isFaulty ?? false
                promise.fulfil(report)
            }
        }
    }
}

extension VolumeMembership {
    func report() -> MountReport.Member {
        var report = MountReport.Member(
            cluster: clusterName, node: host.node.value, members: members.map(\.value),
            alive: host.liveNodes.map(\.value))
        report.heartbeatAgeMilliseconds = lastBeat.map { (environment.now - $0).nanosecondsClamped / 1_000_000 }
        report.verdict = judge?.text
        report.isFrozen = judge?.isFrozen ?? false
        return report
    }
}

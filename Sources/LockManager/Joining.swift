internal import EngineKit
package import O2Layout

/// Why a domain cannot be joined.
package enum JoinError: Error, Equatable, Sendable {
    /// A member speaks another version of the lock manager's or the filesystem's protocol.
    case protocolMismatch(NodeNumber)
    /// A member has other nodes in its configuration.
    case configurationDiffers(NodeNumber)
    /// A member uses other heartbeat regions.
    case regionsDiffer(NodeNumber)
    /// Members kept answering "not now" for 90 s.
    case timedOut
}

// Becoming a member. Spec: o2dlm 6.2 to 6.4.

extension LockDomain {
    private static let backOffMilliseconds = 200
    private static let backOffTotalMilliseconds = 90_000

    /// Joins the domain, or founds it if no live node is a member.
    package func join() async throws(JoinError) {
        precondition(phase == .new, "a domain is joined once")
        var waited = 0
        while true {
            joiningNode = node
            var accepted: NodeSet = []
            let before = lives
            let isDone: Bool
            do throws(JoinError) {
                isDone = try await attempt(&accepted)
            } catch {
                await cancelJoin(accepted, before)
                joiningNode = nil
                throw error
            }
            if isDone, phase == .new { break }
            await cancelJoin(accepted, before)
            joiningNode = nil
            guard waited < Self.backOffTotalMilliseconds, phase == .new else { throw .timedOut }
            let pauseLength = Int(environment.random.next(below: 4)) * Self.backOffMilliseconds
            waited += max(pauseLength, 10)
            await pause(milliseconds: pauseLength)
        }
        phase = .joined
        joiningNode = nil
        log(.notice, "Joining domain \(name) \(members) \(members.count) nodes")
        changed.notify()
        startPurging()
        startRecovering()
    }

    /// One round of questions; false: start again. `accepted` are the members whose join slot is taken for this node.
    private func attempt(_ accepted: inout NodeSet) async throws(JoinError) -> Bool {
        let (live, lives) = (liveNodes, self.lives)
        minorVersion = Self.protocolVersion.minor
        for peer in live where peer != node {
            let message = QueryJoinMessage(
                node: node, lockManager: ProtocolVersion(Self.protocolVersion.major, minorVersion),
                fileSystem: fileSystemVersion, domain: name, liveNodes: live)
            switch await ask(.queryJoin, message.payload, peer) {
            case .noHandler: break
            case .hostDown: return false
            case .status(let status):
                guard let answer = JoinAnswer(status: status) else { throw .protocolMismatch(peer) }
                switch answer.code {
                case .disallow: return false
                case .notMember: break
                case .protocolMismatch: throw .protocolMismatch(peer)
                case .member:
                    accepted.insert(peer)
                    // Only this version is spoken here. Spec: o2dlm 18.
                    guard answer.lockManagerMinor == minorVersion else { throw .protocolMismatch(peer) }
                }
            }
            guard lives == self.lives else { return false }
        }
        members = accepted.inserting(node)
        for peer in accepted {
            // Who died has forgotten that it let this node in, and may be back already.
            guard lives == self.lives else { return false }
            guard await tellNodes(peer) || lives != self.lives else { throw .configurationDiffers(peer) }
        }
        for peer in accepted {
            guard lives == self.lives else { return false }
            guard await tellRegions(peer) || lives != self.lives else { throw .regionsDiffer(peer) }
        }
        guard lives == self.lives else { return false }
        for peer in accepted { await assertJoined(peer, life: lives[peer]) }
        members = members.subtracting(accepted.subtracting(liveNodes))
        return true
    }

    private func tellNodes(_ peer: NodeNumber) async -> Bool {
        let message = QueryNodeInfoMessage(node: node, domain: name, nodes: configuration)
        let answer = await ask(.queryNodeInfo, message.payload, peer)
        return answer == .status(0) || answer == .hostDown
    }

    private func tellRegions(_ peer: NodeNumber) async -> Bool {
        let message = QueryRegionMessage(node: node, domain: name)
        let answer = await ask(.queryRegion, message.payload, peer)
        return answer == .status(0) || answer == .hostDown
    }

    private func assertJoined(_ peer: NodeNumber, life: Int?) async {
        let message = JoinMessage(node: node, domain: name)
        while phase == .new, lives[peer] == life {
            if await ask(.assertJoined, message.payload, peer) == .status(0) { return }
            await pause(milliseconds: 200)
        }
    }

    /// Not to who died and is back: a kernel stops with a bug when it did not let this node in.
    private func cancelJoin(_ accepted: NodeSet, _ before: [NodeNumber: Int]) async {
        let message = JoinMessage(node: node, domain: name)
        for peer in accepted where liveNodes.contains(peer) && lives[peer] == before[peer] {
            _ = await ask(.cancelJoin, message.payload, peer)
        }
        members = []
        // Whoever died among them is none of this node's business, and may be a member when it joins.
        recoveryMap = []
        recovery = RecoveryState()
    }

    // MARK: Answering

    func answer(queryJoin message: QueryJoinMessage) -> Int32 {
        guard liveNodes.contains(message.node) else { return JoinAnswer(.disallow).status }
        guard message.domain == name else { return JoinAnswer(.notMember).status }
        guard members.isSubset(of: message.liveNodes) else { return JoinAnswer(.disallow).status }
        switch phase {
        case .leaving, .left: return JoinAnswer(.notMember).status
        case .new where joiningNode == nil: return JoinAnswer(.notMember).status
        case .new, .joined, .shuttingDown: break
        }
        // Deviation: kernels let a node in between a death and the beginning of its recovery. It would look for masters
        // among those who know and those who do not know yet what the dead one's locks have become.
        let isBusy =
            joiningNode != nil || recovery.isActive || !recoveryMap.isEmpty || members.contains(message.node)
        guard !isBusy else { return JoinAnswer(.disallow).status }
        let own = ProtocolVersion(Self.protocolVersion.major, minorVersion)
        guard isUsable(own, by: message.lockManager), isUsable(fileSystemVersion, by: message.fileSystem) else {
            log(
                .warning,
                "Node \(message.node) wanted to join with DLM locking protocol "
                    + "\(message.lockManager.major).\(message.lockManager.minor), but we have "
                    + "\(own.major).\(own.minor), disallowing")
            return JoinAnswer(.protocolMismatch).status
        }
        joiningNode = message.node
        return JoinAnswer(.member, lockManagerMinor: own.minor, fileSystemMinor: fileSystemVersion.minor).status
    }

    private func isUsable(_ own: ProtocolVersion, by joiner: ProtocolVersion) -> Bool {
        own.major == joiner.major && own.minor <= joiner.minor
    }

    func answer(queryNodeInfo message: QueryNodeInfoMessage) -> Int32 {
        guard message.domain == name, joiningNode == message.node, message.node != node else { return -22 }
        guard Set(message.nodes) == Set(configuration) else {
            log(
                .error,
                "node \(message.node) wants to join with another list of nodes: "
                    + "make cluster.conf the same on all nodes")
            return -22
        }
        return 0
    }

    func answer(queryRegion message: QueryRegionMessage) -> Int32 {
        guard message.domain == name, joiningNode == message.node, message.node != node else { return -22 }
        guard message.regionCount == 0 else {
            log(.error, "node \(message.node) uses global heartbeat, this node local heartbeat")
            return -22
        }
        return 0
    }

    func answer(assertJoined message: JoinMessage) -> Int32 {
        guard message.domain == name, isFullyJoined else { return 0 }
        guard joiningNode == message.node else {
            log(.error, "node \(message.node) says that it joined, but nobody let it")
            return -22
        }
        guard !recovery.isActive, recoveryMap.isEmpty else { return -11 }
        members.insert(message.node)
        exiting.remove(message.node)
        joiningNode = nil
        log(.notice, "Node \(message.node) joins domain \(name) \(members) \(members.count) nodes")
        for entry in entries.values.sorted(by: { $0.name < $1.name }) { nodeJoined(message.node, entry) }
        changed.notify()
        return 0
    }

    private func nodeJoined(_ peer: NodeNumber, _ entry: MasteryEntry) {
        guard entry.nodes.contains(peer) == false else { return }
        entry.nodes.insert(peer)
        entry.responses.remove(peer)
        entry.changed.notify()
    }

    func answer(cancelJoin message: JoinMessage) -> Int32 {
        if message.domain == name, joiningNode == message.node, message.node != node { joiningNode = nil }
        return 0
    }
}

internal import Configuration
internal import CryptoDigests
internal import LinuxReactor
internal import Logging
internal import NIOCore
internal import Pairing
internal import YokeControl

// `yoke init`: the host that waits, and drives.
extension Daemon {
    /// Seconds in which a stranger sends what is next.
    private static let handshakeSeconds = 10

    func initialize(_ words: [String], _ output: ControlOutput) async -> Int32 {
        let request: InitRequest
        do throws(PairingRefusal) {
            request = try InitRequest(words: words)
        } catch {
            output.standardError("yoke init: \(error.text)\n")
            return 1
        }
        switch request.action {
        case .begin(let wish): return await begin(request.resource, wish, output)
        case .follow:
            guard let pair = pairs.find(request.resource) else {
                output.standardError(
                    "no yoke init of \(request.resource) is waiting; to begin one: yoke init \(request.resource) "
                        + "--size SIZE --mount DIRECTORY --address ADDRESS\n")
                return 1
            }
            return await pair.progress.follow(output)
        case .cancel:
            guard let pair = pairs.find(request.resource) else {
                output.standardError("no yoke init of \(request.resource) is waiting\n")
                return 1
            }
            guard case .now = pair.end(1, "\(request.resource): ended by yoke init --cancel; nothing was changed")
            else {
                output.standardError("\(request.resource) is being set up with the other host right now\n")
                return 1
            }
            output.standardOutput("\(request.resource): yoked waits no more; nothing was changed\n")
            return 0
        }
    }

    // MARK: Begin

    private func begin(_ resource: String, _ wish: InitRequest.Wish, _ output: ControlOutput) async -> Int32 {
        let survey: HostSurvey
        do throws(SurveyFailure) {
            survey = try await self.survey(resource, address: wish.address, disk: wish.disk, port: wish.port)
            try await checkAlone(wish, survey)
        } catch {
            output.standardError("yoke init: \(error.text)\n")
            return error.exitStatus
        }
        var bytes = [UInt8](repeating: 0, count: PairingToken.byteCount)
        bytes.withUnsafeMutableBytes { SystemRandom.fill($0) }
        let pair = PendingPair(
            resource: resource, wish: wish, disk: survey.disk, token: PairingToken(bytes: bytes))
        guard pairs.add(pair) else {
            output.standardError(
                "yoke init: \(resource) is being set up already: yoke init \(resource) follows it, --cancel ends it\n")
            return 1
        }
        guard let port = await listen(pair) else {
            pairs.remove(pair)
            output.standardError(
                "yoke init: none of the \(PairPlan.rendezvousPortCount) ports from \(PairPlan.rendezvousPort) on of "
                    + "\(wish.address) is free for the other host to reach this one\n")
            return 1
        }
        let line = JoinRequest.line(resource: resource, host: wish.address, port: port, token: pair.token)
        pair.progress.say("On the other host, where yoked runs too:\n\n    \(line)\n")
        pair.progress.say(
            "Waiting for it, for \(DurationText.text(wish.timeoutSeconds)). This command may be ended, yoked waits on: "
                + "yoke init \(resource) follows it again, yoke init --cancel \(resource) ends it.")
        logger.notice("\(resource): waits for the other host of the pair on \(wish.address):\(port)")
        Task { await self.endInTime(pair) }
        return await pair.progress.follow(output)
    }

    /// What can be refused before the other host is known.
    private func checkAlone(_ wish: InitRequest.Wish, _ survey: HostSurvey) async throws(SurveyFailure) {
        if let problem = await problem(ofMountPoint: wish.mountPoint) { throw SurveyFailure(problem) }
        let size = wish.byteCount ?? survey.disk.byteCount & ~4095
        guard size >= PairPlan.byteCountMin else {
            throw SurveyFailure(
                "\(ByteSize.text(size)) is too small for a volume: at least \(ByteSize.text(PairPlan.byteCountMin))")
        }
        if size > survey.disk.byteCount, !survey.disk.isSparse {
            throw SurveyFailure(
                survey.disk.isNewFile
                    ? "no room for \(ByteSize.text(size)) in /var/lib/yoke: \(ByteSize.text(survey.disk.byteCount)) are free"
                    : "\(survey.disk.path) has \(ByteSize.text(survey.disk.byteCount)), less than \(ByteSize.text(size))"
            )
        }
        if let port = wish.port, survey.ports.contains(port) {
            throw SurveyFailure("port \(port) is in use, by a program or in the configuration: choose another --port")
        }
    }

    /// The port, or nil if none is free.
    private func listen(_ pair: PendingPair) async -> Int? {
        for port in PairPlan.rendezvousPort..<PairPlan.rendezvousPort + PairPlan.rendezvousPortCount {
            let channel = try? await PairingLink.listen(pair.wish.address, port: port) { link in
                guard pair.admitStranger() else { return link.close() }
                Task {
                    await self.receive(link, pair)
                    link.close()
                }
            }
            guard let channel else { continue }
            guard pair.adopt(channel) else {
                channel.close(promise: nil)
                return nil
            }
            return port
        }
        return nil
    }

    private func endInTime(_ pair: PendingPair) async {
        var secondsLeft = pair.wish.timeoutSeconds
        while !pair.isOver {
            try? await Task.sleep(for: .seconds(1))
            secondsLeft -= 1
            guard secondsLeft <= 0 else { continue }
            // A guest that came in time is served.
            pair.end(1, "\(pair.resource): nobody joined in time; nothing was changed")
        }
        pairs.remove(pair)
    }

    // MARK: A connection

    private func receive(_ link: PairingLink, _ pair: PendingPair) async {
        let session: PairingSession?
        do throws(PairingFailure) {
            session = try await handshake(link, pair)
        } catch {
            logger.info("\(pair.resource): a connection from \(link.peerAddress) comes to nothing: \(error.text)")
            session = nil
        }
        pair.strangerLeft()
        guard let session else { return }
        var talk = PairingTalk(link: link, session: session)
        await serve(&talk, pair)
        pair.endServing()
    }

    /// Nil: the guest was sent away.
    private func handshake(_ link: PairingLink, _ pair: PendingPair) async throws(PairingFailure) -> PairingSession? {
        let greeting = PairingGreeting(nonce: Self.nonce())
        link.send(greeting.bytes)
        let body = try await link.receive(max: PairingFrame.strangerByteCountMax, seconds: Self.handshakeSeconds)
        do throws(PairingLinkError) {
            let proof = try PairingProof(decoding: body)
            let (session, welcome) = try PairingSession.accept(
                proof, greeting: greeting, token: pair.token, digests: SystemDigests())
            guard pair.beginServing() else {
                link.send(PairingWelcome(status: .busy).bytes)
                return nil
            }
            link.send(welcome.bytes)
            return session
        } catch {
            guard error == .notAuthentic else { throw .protocolError(error) }
            await sendAway(link, pair)
            return nil
        }
    }

    /// A guest with another token waits for its answer, and after some of them the set-up ends.
    private func sendAway(_ link: PairingLink, _ pair: PendingPair) async {
        guard let seconds = pair.noteWrongToken() else {
            logger.error("\(pair.resource): too many wrong tokens, the last from \(link.peerAddress): given up")
            link.send(PairingWelcome(status: .wrongToken).bytes)
            pair.end(
                1,
                "\(pair.resource): somebody tried \(WrongTokens.countMax) wrong tokens, the last from \(link.peerAddress). "
                    + "Nothing was changed; look who that is, then yoke init again")
            return
        }
        logger.warning("\(pair.resource): a wrong token from \(link.peerAddress)")
        pair.progress.say("a wrong token from \(link.peerAddress): refused; still waiting")
        try? await Task.sleep(for: .seconds(seconds))
        link.send(PairingWelcome(status: .wrongToken).bytes)
    }

    static func nonce() -> [UInt8] {
        var nonce = [UInt8](repeating: 0, count: PairingHello.nonceByteCount)
        nonce.withUnsafeMutableBytes { SystemRandom.fill($0) }
        return nonce
    }

    // MARK: The set-up

    private func serve(_ talk: inout PairingTalk, _ pair: PendingPair) async {
        do throws(PairingFailure) {
            let plan = try await agree(&talk, pair)
            let side = PairSide(
                plan: plan, index: 0, token: pair.token,
                changes: HostChanges(resource: plan.resource, stateDirectory: paths.stateDirectory))
            try await drive(&talk, side, pair.progress)
            pair.end(0, Self.farewell(side), evenIfServing: true)
        } catch {
            talk.tell(error, node: identity.nodeName)
            logger.warning("\(pair.resource): the join comes to nothing: \(error.text)")
            pair.progress.say(
                "\(error.text)\nNothing of it is left on this host; still waiting for a join with the same line.")
        }
    }

    /// The plan that the guest has agreed to. Nothing has been changed so far.
    private func agree(_ talk: inout PairingTalk, _ pair: PendingPair) async throws(PairingFailure) -> PairPlan {
        guard case .survey(let guest) = try await talk.receive(seconds: 30) else { throw .unexpected }
        if let problem = guest.problem { throw .own(PairingRefusal("its survey is not acceptable: \(problem)")) }
        pair.progress.say("\(guest.node) (\(guest.address)) joins")
        logger.notice("\(pair.resource): \(guest.node) at \(guest.address) joins")
        let plan = try await plan(pair, guest)
        try talk.send(.plan(plan))
        try await talk.receiveDone(seconds: 60)
        return plan
    }

    private func plan(_ pair: PendingPair, _ guest: HostSurvey) async throws(PairingFailure) -> PairPlan {
        let wish = pair.wish
        var disk = wish.disk
        disk.mayOverwrite = true
        let own: HostSurvey
        do throws(SurveyFailure) {
            // Anew: a while has passed.
            own = try await survey(pair.resource, address: wish.address, disk: disk, port: wish.port)
            if let problem = await problem(ofMountPoint: wish.mountPoint) { throw SurveyFailure(problem) }
        } catch {
            throw .own(PairingRefusal(error.text))
        }
        do throws(PairingRefusal) {
            return try PairPlan(
                resource: pair.resource, byteCount: pair.byteCount, mountPoint: wish.mountPoint, port: wish.port,
                own: own, peer: guest)
        } catch {
            throw .own(error)
        }
    }

    private func drive(
        _ talk: inout PairingTalk, _ side: PairSide, _ progress: SetupProgress
    ) async throws(PairingFailure) {
        do throws(PairingFailure) {
            try await makeAndMount(&talk, side, progress)
        } catch {
            talk.tell(error, node: side.own.node)
            await takeBack(side)
            throw error
        }
        // From here on it stays.
        do throws(PairingFailure) {
            try talk.send(.order(.keep))
            try await talk.receiveDone(seconds: 30)
        } catch {
            progress.say(
                "\(side.peer.node) did not say whether it keeps its part (\(error.text)): look there with yoke status; if "
                    + "nothing is there, take this back: yoke umount, yoke down \(side.plan.resource), remove "
                    + "\(PairFiles.resourceFile(side.plan.resource)), and begin anew")
        }
    }

    private func makeAndMount(
        _ talk: inout PairingTalk, _ side: PairSide, _ progress: SetupProgress
    ) async throws(PairingFailure) {
        try talk.send(.order(.prepare))
        try await own { () throws(PairingRefusal) in try await prepare(side) { progress.say($0) } }
        try await talk.receiveDone(seconds: 600)
        progress.say("waiting for the replication to connect, up to 60 s")
        let link = talk.link
        var isConnected = false
        try await own { () throws(PairingRefusal) in
            isConnected = try await waitForPeer(side, seconds: 60) { link.isQuiet }
            if isConnected { try await giveFirstData(side) }
        }
        guard isConnected else {
            // The guest says why, or is gone.
            _ = try await talk.receive(seconds: 5)
            throw .unexpected
        }
        progress.say(
            side.plan.areDisksEqual
                ? "connected; both disks are empty, no first sync is needed"
                : "connected; the first sync to \(side.peer.node) has begun")
        try await own { () throws(PairingRefusal) in try await makeFilesystem(side) }
        progress.say("filesystem made; mounting, which takes about 10 s")
        try talk.send(.order(.mount))
        try await own { () throws(PairingRefusal) in try await mountFirst(side) }
        try await talk.receiveDone(seconds: 120)
        try await own { () throws(PairingRefusal) in try await keepMounted(side) }
    }

    func own(_ step: () async throws(PairingRefusal) -> Void) async throws(PairingFailure) {
        do throws(PairingRefusal) {
            try await step()
        } catch {
            throw .own(error)
        }
    }

    static func farewell(_ side: PairSide) -> String {
        let plan = side.plan
        guard plan.areDisksEqual || side.index == 0 else {
            return "\(plan.resource) is set up. It is mounted on \(plan.mountPoint) when the first sync has ended: "
                + "yoke status shows how far it is"
        }
        let rest =
            plan.areDisksEqual
            ? " on both hosts" : "; \(side.peer.node) follows when the first sync has ended (yoke status)"
        return "\(plan.resource) is mounted on \(plan.mountPoint)\(rest). yoked brings it up whenever it starts."
    }
}

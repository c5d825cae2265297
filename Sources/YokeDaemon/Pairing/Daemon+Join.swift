internal import CryptoDigests
internal import Logging
internal import Pairing
internal import YokeControl

// `yoke join`: the host that comes to one that waits, and does what that one orders.
extension Daemon {
    /// Runs as long as the command: when it is ended, everything is taken back.
    func join(_ words: [String], _ output: ControlOutput) async -> Int32 {
        let request: JoinRequest
        do throws(PairingRefusal) {
            request = try JoinRequest(words: words)
        } catch {
            output.standardError("yoke join: \(error.text)\n")
            return 1
        }
        guard pairs.beginJoin(request.resource) else {
            output.standardError("yoke join: \(request.resource) is being set up here already\n")
            return 1
        }
        defer { pairs.endJoin(request.resource) }
        do throws(SurveyFailure) {
            let survey = try await survey(request.resource, address: request.address, disk: request.disk)
            guard request.address != request.host else {
                throw SurveyFailure(
                    "--address is the address of this host; \(request.host) is the one of the host of yoke init")
            }
            output.standardOutput(try await follow(request, survey, output) + "\n")
            return 0
        } catch {
            output.standardError("yoke join: \(error.text)\n")
            return error.exitStatus
        }
    }

    private func follow(
        _ request: JoinRequest, _ survey: HostSurvey, _ output: ControlOutput
    ) async throws(SurveyFailure) -> String {
        let link: PairingLink
        do throws(PairingFailure) {
            link = try await PairingLink.connect(from: request.address, to: request.host, port: request.port)
        } catch {
            throw SurveyFailure(
                "\(request.host):\(request.port) cannot be reached from \(request.address): does yoke init wait there, and "
                    + "does no firewall stand between? (\(error.text))")
        }
        defer { link.close() }
        do throws(PairingFailure) {
            var talk = try await enter(link, request.token)
            return try await take(&talk, request, survey, output)
        } catch {
            throw SurveyFailure(error.text)
        }
    }

    private func enter(_ link: PairingLink, _ token: PairingToken) async throws(PairingFailure) -> PairingTalk {
        let digests = SystemDigests()
        let nonce = Self.nonce()
        let greetingBytes = try await link.receive(max: PairingFrame.strangerByteCountMax, seconds: 10)
        let greeting = try decoded { () throws(PairingLinkError) in try PairingGreeting(decoding: greetingBytes) }
        link.send(PairingSession.proof(for: greeting, nonce: nonce, token: token, digests: digests).bytes)
        // A wrong token is answered late.
        let welcomeBytes = try await link.receive(max: PairingFrame.strangerByteCountMax, seconds: 20)
        let session = try decoded { () throws(PairingLinkError) in
            try PairingSession.enter(
                PairingWelcome(decoding: welcomeBytes), greeting: greeting, nonce: nonce, token: token, digests: digests
            )
        }
        return PairingTalk(link: link, session: session)
    }

    private func decoded<Value>(_ body: () throws(PairingLinkError) -> Value) throws(PairingFailure) -> Value {
        do throws(PairingLinkError) {
            return try body()
        } catch {
            throw .protocolError(error)
        }
    }

    /// From the survey to the end.
    private func take(
        _ talk: inout PairingTalk, _ request: JoinRequest, _ survey: HostSurvey, _ output: ControlOutput
    ) async throws(PairingFailure) -> String {
        try talk.send(.survey(survey))
        guard case .plan(let plan) = try await talk.receive(seconds: 60) else { throw .unexpected }
        if let problem = await objection(to: plan, request, survey) {
            let failure = PairingFailure.own(PairingRefusal(problem))
            talk.tell(failure, node: survey.node)
            throw failure
        }
        let host = plan.hosts[0]
        output.standardOutput(
            "\(host.node) (\(host.address)) makes \(plan.resource) with this host: \(ByteSize.text(plan.byteCount)), mounted "
                + "on \(plan.mountPoint)\n")
        let side = PairSide(
            plan: plan, index: 1, token: request.token,
            changes: HostChanges(resource: plan.resource, stateDirectory: paths.stateDirectory))
        do throws(PairingFailure) {
            try await obey(&talk, side, output)
        } catch {
            talk.tell(error, node: survey.node)
            await takeBack(side)
            throw .own(PairingRefusal("\(error.text)\nNothing of it is left on this host."))
        }
        return Self.farewell(side)
    }

    /// What speaks against a plan; nil if nothing. The host is known, but it can be wrong.
    private func objection(to plan: PairPlan, _ request: JoinRequest, _ survey: HostSurvey) async -> String? {
        if let problem = plan.problem { return "the plan of the other host is not acceptable: \(problem)" }
        let own = plan.hosts[1]
        guard plan.resource == request.resource, own.node == survey.node, own.address == survey.address,
            own.disk == survey.disk, plan.hosts[0].address == request.host
        else { return "the plan of the other host is not for this one" }
        guard !survey.minors.contains(plan.minor), !survey.ports.contains(plan.port) else {
            return "the device number or port of the plan is taken here"
        }
        let port = plan.port
        let address = survey.address
        guard await Self.blocking({ HostFindings.isFree(port, on: address) }) else {
            return "port \(port) of \(address) is in use"
        }
        guard own.disk.isSparse || own.disk.byteCount >= plan.byteCount else {
            return "no room for \(ByteSize.text(plan.byteCount))"
        }
        return await problem(ofMountPoint: plan.mountPoint)
    }

    /// How long the other host may take between two orders: its disk, the connection, the filesystem.
    private static let orderSeconds = 900

    /// Carries out the orders until the last.
    private func obey(
        _ talk: inout PairingTalk, _ side: PairSide, _ output: ControlOutput
    ) async throws(PairingFailure) {
        try talk.send(.done)
        while true {
            guard case .order(let order) = try await talk.receive(seconds: Self.orderSeconds) else { throw .unexpected }
            try await own { () throws(PairingRefusal) in try await carryOut(order, side, output) }
            try talk.send(.done)
            if order == .keep { return }
        }
    }

    private func carryOut(
        _ order: PairingMessage.Order, _ side: PairSide, _ output: ControlOutput
    ) async throws(PairingRefusal) {
        switch order {
        case .prepare:
            try await prepare(side) { output.standardOutput($0 + "\n") }
            let time = DurationText.text(Self.orderSeconds)
            output.standardOutput("waiting for \(side.peer.node) to make the filesystem, up to \(time)\n")
        case .mount:
            guard side.plan.areDisksEqual else { return }
            output.standardOutput("mounting, which takes about 10 s\n")
            try await mountFirst(side)
        case .keep:
            try await keepMounted(side)
        }
    }
}

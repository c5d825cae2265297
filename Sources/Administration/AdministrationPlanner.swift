package import Configuration

/// Turns a request into steps. Pure: all it knows comes from the configuration and from ``AdministrationFacts``.
package struct AdministrationPlanner {
    let loaded: LoadedConfiguration
    let configuration: ClusterConfiguration
    let request: AdministrationRequest
    let program: ProgramIdentity
    let facts: any AdministrationFacts
    let calls: SetupCalls
    var steps: [PlanStep] = []
    var group = 0

    /// The plan of a request on a good configuration.
    package static func plan(
        _ request: AdministrationRequest, loaded: LoadedConfiguration, program: ProgramIdentity,
        facts: any AdministrationFacts
    ) async -> AdministrationPlan {
        guard let configuration = loaded.configuration else {
            let text = loaded.errors.map { $0.text + "\n" }.joined()
            return AdministrationPlan(.plain, [PlanStep(.fail(text, code: loaded.exitCode))])
        }
        var planner = AdministrationPlanner(loaded, configuration, request, program, facts)
        return await planner.plan()
    }

    private init(
        _ loaded: LoadedConfiguration, _ configuration: ClusterConfiguration, _ request: AdministrationRequest,
        _ program: ProgramIdentity, _ facts: any AdministrationFacts
    ) {
        self.loaded = loaded
        self.configuration = configuration
        self.request = request
        self.program = program
        self.facts = facts
        calls = SetupCalls(configuration: configuration, facts: facts, extra: request.setupOptions)
    }

    private mutating func plan() async -> AdministrationPlan {
        let command = request.command
        if command.scope == .configuration {
            if !request.targets.isEmpty { fail("This command will ignore resource names!\n", code: 0) }
            let manner = planConfigurationCommand(command.name)
            return AdministrationPlan(manner, steps)
        }
        guard let targets = selectTargets() else { return AdministrationPlan(.plain, steps) }
        if command.verifiesAddresses, !refuseForeignAddresses(targets) { return AdministrationPlan(.plain, steps) }
        switch command.name {
        case "up":
            guard steps.isEmpty else { return AdministrationPlan(.plain, steps) }
            planUp(targets)
            return AdministrationPlan(.staged, steps)
        case "adjust", "adjust-with-progress":
            guard steps.isEmpty else { return AdministrationPlan(.plain, steps) }
            await planAdjust(targets)
            return AdministrationPlan(command.name == "adjust" ? .staged : .progress, steps)
        case "dump":
            planDump(targets)
        default:
            for target in targets {
                group += 1
                plan(command, target)
            }
        }
        return AdministrationPlan(.plain, steps)
    }

    // MARK: Steps

    mutating func add(
        _ action: PlanStep.Action, _ timeout: TimeoutClass = .unlimited, onFailure: FailureRule = .stopGroup,
        stage: PlanStage = .single, of target: Target? = nil, isHiddenInDryRun: Bool = false, hidesErrors: Bool = false,
        skipRemark: String? = nil
    ) {
        steps.append(
            PlanStep(
                action, timeout: timeout, onFailure: onFailure, group: group, stage: stage,
                resource: target?.resource.name, isHiddenInDryRun: isHiddenInDryRun, hidesErrors: hidesErrors,
                skipRemark: skipRemark))
    }

    mutating func print(_ line: String) { add(.print(line + "\n")) }

    mutating func fail(_ text: String, code: Int32) { add(.fail(text, code: code)) }

    // MARK: Targets

    /// The targets of the command line; nil if nothing is to be done at all.
    private mutating func selectTargets() -> [Target]? {
        if request.isStacked {
            fail(
                "WARN: nothing stacked for this host (\(configuration.nodeName)), "
                    + "nothing to do in stacked mode!\n", code: 1)
            return nil
        }
        if configuration.resources.isEmpty {
            // dump shows the other sections.
            if request.command.name == "dump", request.targets.isEmpty { return [] }
            fail("no resources defined!\n", code: 1)
            return nil
        }
        if request.targets.isEmpty || request.targets == ["all"] {
            let all = TargetSelection.all(in: configuration)
            if all.isEmpty, request.command.name != "dump" {
                fail(
                    """
                    WARN: no normal resources defined for this host (\(configuration.nodeName))!?
                    Misspelled name of the local machine with the 'on' keyword ?
                    tried: \(loaded.identity.triedText)

                    """, code: 1)
                return nil
            }
            return all
        }
        var targets: [Target] = []
        for name in request.targets {
            group += 1
            if let target = target(named: name) { targets.append(target) }
        }
        return targets
    }

    private mutating func target(named name: String) -> Target? {
        guard let target = TargetSelection.find(name, in: configuration) else {
            fail("'\(name)' not defined in your config (for this host).\n", code: 1)
            return nil
        }
        let command = request.command
        if command.scope == .resource, target.namesVolume, target.host.volumes.count > 1 {
            fail("\(command.name) operates on whole resources, but you specified a specific volume!\n", code: 1)
            return nil
        }
        if command.scope == .singleVolume, target.volumes.count != 1 {
            fail(
                """
                \(command.name) requires a specific volume id, but none is specified.
                Try '\(command.name) minor-<minor_number>' or '\(command.name) \(target.resource.name)/<vnr>'

                """, code: 1)
            return nil
        }
        if let peer = request.peer, let host = target.resource.peerHost, !host.names.contains(peer) {
            fail("in resource \(target.resource.name):\n\t'\(peer)' is not the peer (\(host.title))\n", code: 1)
            return nil
        }
        return target
    }

    private mutating func refuseForeignAddresses(_ targets: [Target]) -> Bool {
        let problems = loaded.foreignAddresses(of: targets.map(\.resource))
        for problem in problems { fail(problem.text + "\n", code: problem.exitCode) }
        return problems.isEmpty
    }

    /// Notes that a command needs a peer, which this resource has not.
    mutating func failWithoutPeer(_ target: Target, stage: PlanStage = .single) {
        let text = """
            \(target.resource.location.fileAndLine): in resource \(target.resource.name):
            \tMissing section 'on <PEER> { ... }'.

            """
        add(.fail(text, code: 10), stage: stage, of: target)
    }
}

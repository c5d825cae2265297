package import Configuration

/// The programs that steps call.
package enum Tool: Equatable, Sendable {
    case drbdsetup
    case drbdmeta
    /// `/bin/sh -c COMMAND` with these variables added to the environment.
    case shell(environment: [EnvironmentVariable])
}

/// One call of a program.
package struct ToolCall: Equatable, Sendable {
    package var tool: Tool
    package var arguments: [String]
    /// Nil is no limit.
    package var timeoutSeconds: Int?
    /// Standard error is not shown, but given back with the result.
    package var hidesErrors: Bool
}

/// How a call ended.
package enum ToolResult: Equatable, Sendable {
    /// With its status; `errors` is what it wrote to standard error, if that was to be hidden.
    case exited(Int32, errors: String = "")
    case timedOut
    /// It could not be run at all; why.
    case notRun(String)
}

/// Runs programs, or what stands for them. Output goes where the caller of drbdadm reads it.
package protocol ToolRunner {
    func run(_ call: ToolCall) async -> ToolResult
    /// Runs several at once; the results in the order of the calls.
    func runAll(_ calls: [ToolCall]) async -> [ToolResult]
    /// Lets a second pass before a call is tried again.
    func pause() async
}

extension ToolRunner {
    package func runAll(_ calls: [ToolCall]) async -> [ToolResult] {
        var results: [ToolResult] = []
        for call in calls { results.append(await run(call)) }
        return results
    }
}

/// Where drbdadm's own texts go.
package protocol AdministrationOutput {
    func standardOutput(_ text: String)
    func standardError(_ text: String)
}

/// Carries out a plan: the order, the exit status and the texts of the classic program. Spec: drbd-config-and-tools 10.
package struct AdministrationExecutor {
    /// What the programs are called in listings and messages.
    package struct ToolNames: Equatable, Sendable {
        package var setup = "drbdsetup-84"
        package var meta = "drbdmeta"

        package init() {}
    }

    private let runner: any ToolRunner
    private let output: any AdministrationOutput
    private let global: GlobalSettings
    private let names: ToolNames
    private let isVerbose: Bool

    package init(
        runner: any ToolRunner, output: any AdministrationOutput, global: GlobalSettings,
        names: ToolNames = ToolNames(), isVerbose: Bool = false
    ) {
        self.runner = runner
        self.output = output
        self.global = global
        self.names = names
        self.isVerbose = isVerbose
    }

    /// `-d`: prints the lines that would run, and what the command prints itself.
    package func list(_ plan: AdministrationPlan) -> Int32 {
        var status: Int32 = 0
        for step in plan.steps where !step.isHiddenInDryRun {
            switch step.action {
            case .print(let text): output.standardOutput(text)
            case .fail(let text, let code):
                output.standardError(text)
                status = max(status, code)
            case .drbdsetup, .drbdmeta, .shellHandler:
                output.standardOutput(line(of: step) + "\n")
            }
        }
        return status
    }

    /// Carries the steps out; the exit status of drbdadm.
    package func execute(_ plan: AdministrationPlan) async -> Int32 {
        switch plan.manner {
        case .plain: await executePlain(plan)
        case .staged: await executeStaged(plan)
        case .progress: await executeProgress(plan)
        case .concurrent: await executeConcurrent(plan)
        }
    }

    // MARK: Manners

    private func executePlain(_ plan: AdministrationPlan) async -> Int32 {
        var status: Int32 = 0
        var failedGroup: Int?
        var index = 0
        while index < plan.steps.count {
            let step = plan.steps[index]
            if step.group == failedGroup {
                index += 1
                continue
            }
            let (code, used) = await run(plan.steps, at: index)
            index += used
            status = max(status, code)
            if code != 0 { failedGroup = step.group }
            // Cannot execute, timed out, existing data: go no further.
            if code >= 20 { break }
        }
        return status
    }

    private func executeStaged(_ plan: AdministrationPlan, quietly: Bool = false) async -> Int32 {
        var failures: [String: PlanStage] = [:]
        var failedGroup: Int?
        var hasFailed = false
        for (index, step) in plan.steps.enumerated() {
            let isLate = step.resource.flatMap { failures[$0] }.map { $0 < step.stage } ?? false
            guard step.group != failedGroup, !isLate else {
                if let remark = step.skipRemark { output.standardError(remark) }
                continue
            }
            let (code, _) = await run(plan.steps, at: index)
            guard code != 0 else { continue }
            hasFailed = true
            failedGroup = step.group
            if let resource = step.resource, failures[resource] == nil { failures[resource] = step.stage }
        }
        return hasFailed ? 1 : 0
    }

    /// One line a stage with the names of the resources, failures behind them.
    private func executeProgress(_ plan: AdministrationPlan) async -> Int32 {
        var failures: [String: PlanStage] = [:]
        var stage = PlanStage.single
        var shown: Set<String> = []
        var failedGroup: Int?
        output.standardOutput("[")
        for (index, step) in plan.steps.enumerated() {
            let name = step.resource ?? "?"
            if step.group == failedGroup || failures[name].map({ $0 < step.stage }) ?? false { continue }
            if step.stage != stage {
                stage = step.stage
                shown = []
                let title = stage.title
                output.standardOutput("\n" + String(repeating: " ", count: max(0, 15 - title.utf8.count)) + title + ":")
            }
            let isNew = shown.insert(name).inserted
            let (code, _) = await run(plan.steps, at: index)
            if isNew { output.standardOutput(" " + name) }
            guard code != 0 else { continue }
            failedGroup = step.group
            failures[name] = stage
            output.standardOutput(":failed(\(verb(of: step)):\(code))")
        }
        output.standardOutput("\n]\n")
        return failures.isEmpty ? 0 : 1
    }

    private func executeConcurrent(_ plan: AdministrationPlan) async -> Int32 {
        var calls: [ToolCall] = []
        for step in plan.steps {
            switch step.action {
            case .print(let text): output.standardOutput(text)
            case .fail(let text, _): output.standardError(text)
            case .drbdsetup, .drbdmeta, .shellHandler: if let call = call(of: step) { calls.append(call) }
            }
        }
        var status: Int32 = 0
        for result in await runner.runAll(calls) {
            if case .exited(let code, _) = result { status = max(status, code) } else { status = max(status, 20) }
        }
        return status
    }

    // MARK: One step

    /// Runs a step, its second try included; the status, and how many steps that took.
    private func run(_ steps: [PlanStep], at index: Int) async -> (code: Int32, used: Int) {
        let step = steps[index]
        switch step.onFailure {
        case .stopGroup:
            return (await perform(step, isQuiet: false).code, 1)
        case .stopGroupAs(let status):
            return (await perform(step, isQuiet: true).code == 0 ? 0 : status, 1)
        case .ignore:
            _ = await perform(step, isQuiet: true)
            return (0, 1)
        case .retry(let times):
            var code = await perform(step, isQuiet: false).code
            for _ in 1..<max(1, times) where code != 0 {
                await runner.pause()
                code = await perform(step, isQuiet: false).code
            }
            return (code, 1)
        case .tryNext(let exceptions):
            let (code, errors) = await perform(step, isQuiet: true)
            guard code != 0, !exceptions.contains(code), index + 1 < steps.count else {
                output.standardError(errors)
                return (code, 2)
            }
            let (second, used) = await run(steps, at: index + 1)
            return (second, used + 1)
        }
    }

    /// The exit status of one step, with the classic texts about failures, and what was held back of its own.
    private func perform(_ step: PlanStep, isQuiet: Bool) async -> (code: Int32, errors: String) {
        switch step.action {
        case .print(let text):
            output.standardOutput(text)
            return (0, "")
        case .fail(let text, let code):
            output.standardError(text)
            return (code, "")
        case .drbdsetup, .drbdmeta, .shellHandler:
            break
        }
        guard let call = call(of: step) else { return (0, "") }
        if isVerbose { output.standardOutput(line(of: step) + "\n") }
        switch await runner.run(call) {
        case .exited(let code, let errors):
            // Below 10 the tool has said what there is to say. A handler's status is its answer.
            if code >= 10, !isQuiet, !isHandler(step) {
                output.standardError("Command '\(line(of: step))' terminated with exit code \(code)\n")
            }
            return (code, errors)
        case .timedOut:
            let seconds = call.timeoutSeconds ?? 0
            output.standardError("Command '\(line(of: step))' did not terminate within \(seconds) seconds\n")
            return (20, "")
        case .notRun(let reason):
            output.standardError("Can not execute '\(line(of: step))': \(reason)\n")
            return (20, "")
        }
    }

    private func isHandler(_ step: PlanStep) -> Bool {
        if case .shellHandler = step.action { return true }
        return false
    }

    private func call(of step: PlanStep) -> ToolCall? {
        let timeout = seconds(step.timeout)
        switch step.action {
        case .drbdsetup(let words):
            return ToolCall(
                tool: .drbdsetup, arguments: words, timeoutSeconds: timeout, hidesErrors: step.hidesErrors)
        case .drbdmeta(let words):
            return ToolCall(
                tool: .drbdmeta, arguments: words, timeoutSeconds: timeout, hidesErrors: step.hidesErrors)
        case .shellHandler(let command, let environment):
            return ToolCall(
                tool: .shell(environment: environment), arguments: ["-c", command], timeoutSeconds: timeout,
                hidesErrors: step.hidesErrors)
        case .print, .fail:
            return nil
        }
    }

    private func seconds(_ timeout: TimeoutClass) -> Int? {
        let value =
            switch timeout {
            case .short: global.commandTimeoutShortSeconds
            case .medium: global.commandTimeoutMediumSeconds
            case .long: global.commandTimeoutLongSeconds
            case .unlimited: 0
            }
        return value == 0 ? nil : value
    }

    /// The line as `-d` and the messages print it.
    private func line(of step: PlanStep) -> String {
        switch step.action {
        case .drbdsetup(let words): ShellText.line([names.setup] + words)
        case .drbdmeta(let words): ShellText.line([names.meta] + words)
        case .shellHandler(let command, _): ShellText.line(["/bin/sh", "-c", command])
        case .print, .fail: ""
        }
    }

    private func verb(of step: PlanStep) -> String {
        switch step.action {
        case .drbdsetup(let words): words.first ?? ""
        case .drbdmeta(let words): words.dropFirst(4).first ?? ""
        case .shellHandler, .print, .fail: ""
        }
    }
}

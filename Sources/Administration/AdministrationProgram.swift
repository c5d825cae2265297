package import Configuration

/// Everything that a run of drbdadm needs from outside.
package struct AdministrationContext {
    package var program: ProgramIdentity
    package var source: any ConfigurationSource
    /// Who this machine is; asked with the `--node` of the command line and the root.
    package var identity: (_ node: String?, _ root: String) -> HostIdentity
    package var facts: any AdministrationFacts
    package var runner: any ToolRunner
    package var output: any AdministrationOutput
    /// The root if the command line does not name one.
    package var root: String

    package init(
        program: ProgramIdentity, source: any ConfigurationSource,
        identity: @escaping (_ node: String?, _ root: String) -> HostIdentity, facts: any AdministrationFacts,
        runner: any ToolRunner, output: any AdministrationOutput, root: String = "/"
    ) {
        self.program = program
        self.source = source
        self.identity = identity
        self.facts = facts
        self.runner = runner
        self.output = output
        self.root = root
    }
}

/// drbdadm from its arguments to its exit status.
package enum AdministrationProgram {
    package static func run(_ arguments: [String], _ context: AdministrationContext) async -> Int32 {
        switch CommandLineParser.parse(arguments, program: context.program) {
        case .exit(let output, let errors, let code):
            if !output.isEmpty { context.output.standardOutput(output) }
            if !errors.isEmpty { context.output.standardError(errors) }
            return code
        case .run(let request):
            return await run(request, context)
        }
    }

    private static func run(_ request: AdministrationRequest, _ context: AdministrationContext) async -> Int32 {
        let root = request.root ?? context.root
        let identity = context.identity(request.node, root)
        if let notice = identity.notice { context.output.standardError(notice) }
        let loaded = load(request, context, identity, root)
        for diagnostic in loaded.diagnostics where diagnostic.severity == .error || request.command.showsWarnings {
            context.output.standardError(diagnostic.text + "\n")
        }
        guard loaded.configuration != nil else { return loaded.exitCode }
        let plan = await AdministrationPlanner.plan(
            request, loaded: loaded, program: context.program, facts: context.facts)
        var names = AdministrationExecutor.ToolNames()
        if let tool = request.setupTool { names.setup = tool }
        if let tool = request.metaTool { names.meta = tool }
        let executor = AdministrationExecutor(
            runner: context.runner, output: context.output, global: loaded.configuration?.global ?? GlobalSettings(),
            names: names, isVerbose: request.isVerbose)
        return request.isDryRun ? executor.list(plan) : await executor.execute(plan)
    }

    /// The configuration, for `dump` and `sh-nop` together with the file of `-t`.
    private static func load(
        _ request: AdministrationRequest, _ context: AdministrationContext, _ identity: HostIdentity, _ root: String
    ) -> LoadedConfiguration {
        let isTest = request.testPath != nil && ["dump", "sh-nop"].contains(request.command.name)
        return ConfigurationLoader.load(
            path: request.configurationPath, additionalPath: isTest ? request.testPath : nil, source: context.source,
            identity: identity, root: root)
    }
}

/// How long a tool may take, by the global settings. Spec: drbd-config-and-tools 10.
package enum TimeoutClass: Equatable, Sendable {
    /// Queries: cmd-timeout-short.
    case short
    /// State changes: cmd-timeout-medium.
    case medium
    /// Attach, connect and the like: cmd-timeout-long.
    case long
    /// Waiting for the peer, questions to a person, handlers.
    case unlimited
}

/// What follows if a step fails.
package enum FailureRule: Equatable, Sendable {
    /// The rest of the step's group is left out, and the exit status is remembered.
    case stopGroup
    /// The next step is the second try, unless the status is one of these, which then counts. The next step is left
    /// out if this one succeeds.
    case tryNext(unless: [Int32])
    /// As the second try of `outdate`: any failure of it counts as this status.
    case stopGroupAs(Int32)
    /// Tried again, so many times in all, a second apart.
    case retry(times: Int)
    /// Nothing.
    case ignore
}

/// One thing to do.
package struct PlanStep: Equatable, Sendable {
    package enum Action: Equatable, Sendable {
        /// drbdsetup with these arguments.
        case drbdsetup([String])
        /// drbdmeta with these arguments.
        case drbdmeta([String])
        /// A text for standard output, with its newlines.
        case print(String)
        /// A text for standard error, and a status that is the result unless a worse one comes.
        case fail(String, code: Int32)
        /// `/bin/sh -c COMMAND` with these variables added to the environment; its exit status is the result.
        case shellHandler(command: String, environment: [EnvironmentVariable])
    }

    package var action: Action
    package var timeout: TimeoutClass
    package var onFailure: FailureRule
    /// Steps of one group stand or fall together.
    package var group: Int
    /// Of a staged plan: what comes later is left out for a resource that failed before.
    package var stage: PlanStage
    package var resource: String?
    /// Not in the listing of `-d`, as with the classic program.
    package var isHiddenInDryRun: Bool
    /// The tool's standard error is shown only if its status is the one that counts.
    package var hidesErrors: Bool
    /// What is said if the step is left out because of an earlier one.
    package var skipRemark: String?

    package init(
        _ action: Action, timeout: TimeoutClass = .unlimited, onFailure: FailureRule = .stopGroup, group: Int = 0,
        stage: PlanStage = .single, resource: String? = nil, isHiddenInDryRun: Bool = false, hidesErrors: Bool = false,
        skipRemark: String? = nil
    ) {
        self.action = action
        self.timeout = timeout
        self.onFailure = onFailure
        self.group = group
        self.stage = stage
        self.resource = resource
        self.isHiddenInDryRun = isHiddenInDryRun
        self.hidesErrors = hidesErrors
        self.skipRemark = skipRemark
    }
}

/// One variable of a handler's environment.
package struct EnvironmentVariable: Equatable, Sendable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// The stages of `up` and `adjust`, which go over all resources one after the other.
package enum PlanStage: Int, Comparable, Sendable {
    /// Plans without stages.
    case single
    case createResource
    case adjustResource
    case prepareDisk
    case adjustDisk
    case prepareNet
    case adjustNet

    package static func < (left: PlanStage, right: PlanStage) -> Bool { left.rawValue < right.rawValue }

    /// As `adjust-with-progress` calls it.
    package var title: String {
        switch self {
        case .single: ""
        case .createResource: "create res"
        case .adjustResource: "adjust res"
        case .prepareDisk: "prepare disk"
        case .adjustDisk: "adjust disk"
        case .prepareNet: "prepare net"
        case .adjustNet: "adjust net"
        }
    }
}

/// What a command comes to: steps in order.
package struct AdministrationPlan: Equatable, Sendable {
    package enum Manner: Equatable, Sendable {
        /// Group after group; a status of 20 and above ends it; the highest status is the result.
        case plain
        /// Stage after stage; a resource that failed is left alone in later stages; any failure gives 1.
        ///
        /// Deviation: the 8.4 program leaves out the later stages of all resources if one failed.
        case staged
        /// As ``staged``, with a line a stage instead of the tools' own texts.
        case progress
        /// All steps at once: `wait-con-int`.
        case concurrent
    }

    package var manner: Manner
    package var steps: [PlanStep]

    package init(_ manner: Manner = .plain, _ steps: [PlanStep] = []) {
        self.manner = manner
        self.steps = steps
    }
}

/// What the planner must know about the running system and the machine.
package protocol AdministrationFacts {
    /// What `drbdsetup show NAME` prints; nil or empty if the resource does not run.
    func runningConfiguration(of resource: String) async -> String?
    /// A path of the configuration as this process must open it (under a root).
    func resolvedPath(_ path: String) -> String
    /// A random number for a new device uuid.
    func randomDeviceUUID() -> UInt64
}

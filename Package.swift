// swift-tools-version: 6.2
import PackageDescription

// Layers, arrows only downwards (docs/architecture.md):
//   layout    bytes <-> values; no I/O, no state, no clock
//   engine    state machines; no system calls
//   system    reactor, sockets, disks; the only layer that calls the kernel
//   daemon    composition, control socket, commands
//   simulator a second system layer, in memory
//
// YOKE_TESTS=A,B limits the test targets (and drops what they do not need), so that work on one layer builds only it:
//   YOKE_TESTS=DRBDLayoutTests swift test
let onlyTests = Context.environment["YOKE_TESTS"].map { Set($0.split(separator: ",").map(String.init)) }

let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    // Properties that return spans (LayoutKit field access).
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: swiftSettings)
}

var targets: [Target] = [
    // C: headers and static inline wrappers only. liburing is linked from its archive: the binaries must run on hosts
    // that do not have the library.
    .target(name: "CYoke", linkerSettings: [.linkedLibrary(":liburing.a")]),

    // Layout
    library("LayoutKit"),
    library("DRBDLayout", ["LayoutKit"]),
    library("NBDLayout", ["LayoutKit"]),
    library("FUSELayout", ["LayoutKit"]),
    library("OCFS2Layout", ["LayoutKit"]),
    library("JournalLayout", ["LayoutKit"]),
    library("O2Layout", ["LayoutKit"]),

    // Engines
    library("EngineKit"),
    library("Replication", ["EngineKit", "LayoutKit", "DRBDLayout"]),
    library("NBDServer", ["EngineKit", "LayoutKit", "NBDLayout"]),
    library("FUSEServer", ["EngineKit", "LayoutKit", "FUSELayout", "FileSystem"]),
    library("Journal", ["EngineKit", "LayoutKit", "JournalLayout"]),
    library("LockManager", ["EngineKit", "LayoutKit", "O2Layout"]),
    library("Heartbeat", ["EngineKit", "LayoutKit", "O2Layout"]),
    library("Arbitration", ["EngineKit"]),
    library("ClusterNet", ["EngineKit", "LayoutKit", "O2Layout"]),
    library("FileSystem", ["EngineKit", "LayoutKit", "OCFS2Layout", "Journal"]),

    // What a mounted volume needs of the cluster
    library("ClusterVolume", ["EngineKit", "FileSystem", "LockManager", "O2Layout"]),

    // Configuration and offline tools
    library("Configuration"),
    library("VolumeTools", ["LayoutKit", "OCFS2Layout", "JournalLayout", "EngineKit", "CYoke"]),
    library("MetadataTools", ["LayoutKit", "DRBDLayout", "EngineKit", "CYoke"]),
    library("Administration", ["Configuration"]),
    // Two hosts become a pair: `yoke init` and `yoke join`.
    library("Pairing", ["Configuration", "EngineKit"]),

    // System
    library("LinuxReactor", ["EngineKit", "CYoke"]),
    library("CryptoDigests", ["EngineKit", "CYoke", crypto]),

    // Daemon and command
    library("YokeControl", [nioCore, nioPosix]),
    library(
        "YokeDaemon",
        [
            "Administration", "Arbitration", "ClusterNet", "ClusterVolume", "Configuration", "CryptoDigests",
            "DRBDLayout", "EngineKit", "FUSELayout", "FUSEServer", "FileSystem", "Heartbeat", "LayoutKit",
            "LinuxReactor", "LockManager", "MetadataTools", "NBDLayout", "NBDServer", "O2Layout", "OCFS2Layout",
            "Pairing", "Replication", "VolumeTools", "YokeControl", "CYoke", logging, nioCore, nioPosix,
        ]),
    library(
        "YokeCommands",
        [
            "Administration", "Configuration", "MetadataTools", "VolumeTools", "YokeControl", "CYoke", argumentParser,
        ]),

    // A host in memory: executor, clock, disks. For tests and simulators.
    library("EngineSimulation", ["EngineKit"]),
    library("LockSimulation", ["EngineSimulation", "EngineKit", "LockManager", "O2Layout"]),

    // Simulator
    library("Simulator", ["EngineKit", "LayoutKit", "DRBDLayout", "Replication"]),
    library("SimulationProcesses"),
    library("FileSystemSimulation", ["EngineKit", "EngineSimulation", "FileSystem", "OCFS2Layout"]),
    library(
        "ClusterSimulation",
        [
            "ClusterNet", "ClusterVolume", "EngineKit", "EngineSimulation", "FileSystem", "FileSystemSimulation",
            "Heartbeat", "LockManager", "LockSimulation", "O2Layout",
        ]),
]

let executables: [Target] = [
    .executableTarget(
        name: "yoked", dependencies: ["YokeDaemon", argumentParser, logging], swiftSettings: swiftSettings),
    .executableTarget(name: "yoke", dependencies: ["YokeCommands"], swiftSettings: swiftSettings),
    .executableTarget(
        name: "yoke-cluster-sim",
        dependencies: [
            "ClusterNet", "ClusterSimulation", "ClusterVolume", "Heartbeat", "LockManager", "LockSimulation",
            "SimulationProcesses", argumentParser,
        ], swiftSettings: swiftSettings),
    .executableTarget(
        name: "yoke-sim", dependencies: ["SimulationProcesses", "Simulator", argumentParser],
        swiftSettings: swiftSettings),
    .executableTarget(
        name: "yoke-fs-sim", dependencies: ["FileSystemSimulation", argumentParser], swiftSettings: swiftSettings),
]

let testTargets: [Target] = [
    tests("LayoutKitTests", ["LayoutKit"]),
    tests("DRBDLayoutTests", ["DRBDLayout", "LayoutKit"]),
    tests("NBDLayoutTests", ["NBDLayout", "LayoutKit"]),
    tests("FUSELayoutTests", ["FUSELayout", "LayoutKit"]),
    tests("OCFS2LayoutTests", ["OCFS2Layout", "LayoutKit"]),
    tests("JournalLayoutTests", ["JournalLayout", "LayoutKit"]),
    tests("O2LayoutTests", ["O2Layout", "LayoutKit"]),
    tests("ArbitrationTests", ["Arbitration", "EngineKit"]),
    tests(
        "ClusterVolumeTests",
        ["ClusterVolume", "FileSystem", "LockManager", "LockSimulation", "O2Layout", "EngineSimulation", "EngineKit"]),
    tests("HeartbeatTests", ["Heartbeat", "O2Layout", "EngineSimulation", "EngineKit", "LayoutKit"]),
    tests("ClusterNetTests", ["ClusterNet", "O2Layout", "EngineSimulation", "EngineKit", "LayoutKit"]),
    tests(
        "LockManagerTests",
        ["LockManager", "LockSimulation", "O2Layout", "EngineSimulation", "EngineKit", "LayoutKit"]),
    tests("EngineKitTests", ["EngineKit"]),
    tests("EngineSimulationTests", ["EngineSimulation", "EngineKit"]),
    tests("JournalTests", ["Journal", "JournalLayout", "EngineSimulation", "EngineKit", "LayoutKit"]),
    tests(
        "FileSystemTests",
        [
            "FileSystem", "Journal", "JournalLayout", "OCFS2Layout", "VolumeTools", "EngineSimulation", "EngineKit",
            "LayoutKit",
        ], resources: [.copy("Images")]),
    tests("VolumeToolsTests", ["VolumeTools", "OCFS2Layout", "JournalLayout", "LayoutKit", "EngineKit"]),
    tests("ReplicationTests", ["Replication", "EngineKit", "LayoutKit", "DRBDLayout"]),
    tests("NBDServerTests", ["NBDServer", "NBDLayout", "EngineKit", "LayoutKit"]),
    tests(
        "FUSEServerTests",
        [
            "FUSEServer", "FUSELayout", "FileSystem", "OCFS2Layout", "EngineSimulation", "EngineKit", "LayoutKit",
            "LinuxReactor",
        ]),
    tests("ConfigurationTests", ["Configuration"]),
    tests("MetadataToolsTests", ["MetadataTools", "DRBDLayout", "LayoutKit", "EngineKit"]),
    tests("AdministrationTests", ["Administration", "Configuration"]),
    tests("PairingTests", ["Pairing", "Configuration", "CryptoDigests", "EngineKit"]),
    tests("LinuxReactorTests", ["LinuxReactor", "EngineKit", "CYoke"]),
    tests("CryptoDigestsTests", ["CryptoDigests", "EngineKit"]),
    tests("YokeControlTests", ["YokeControl"]),
    tests(
        "YokeDaemonTests",
        [
            "Administration", "Arbitration", "Configuration", "DRBDLayout", "EngineKit", "EngineSimulation",
            "FileSystem", "LinuxReactor", "MetadataTools", "O2Layout", "Replication", "YokeControl", "YokeDaemon",
            logging,
        ]),
    tests("DocumentationTests", ["Configuration", "VolumeTools", "YokeDaemon"]),
    tests("FileSystemSimulationTests", ["FileSystemSimulation", "EngineKit", "EngineSimulation", "FileSystem"]),
    tests(
        "ClusterSimulationTests",
        [
            "ClusterSimulation", "EngineKit", "EngineSimulation", "FileSystem", "FileSystemSimulation",
            "LockSimulation", "O2Layout",
        ]),
    tests("SimulatorTests", ["Simulator", "Replication", "EngineKit", "DRBDLayout", "LayoutKit"]),
]

if let onlyTests {
    var wanted: [Target] = []
    func want(_ target: Target) {
        guard !wanted.contains(where: { $0.name == target.name }) else { return }
        wanted.append(target)
        for case .byNameItem(let name, _) in target.dependencies {
            if let needed = targets.first(where: { $0.name == name }) { want(needed) }
        }
    }
    testTargets.filter { onlyTests.contains($0.name) }.forEach(want)
    targets = wanted
} else {
    targets += executables + testTargets
}

let package = Package(
    name: "yoke",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
    ],
    targets: targets
)

// swift-tools-version: 6.2
import PackageDescription

// Fuzzers of the decoders, a package of its own. Driven by Fuzz/run.
//
// The decoders have `package` access, which ends at the border of a package. So their targets are built here once more,
// through symbolic links to the same sources, with the coverage that the fuzzer needs.
let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

func fuzzer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies,
        swiftSettings: swiftSettings + [.unsafeFlags(["-parse-as-library"])])
}

let package = Package(
    name: "yoke-fuzz",
    targets: [
        library("LayoutKit"),
        library("DRBDLayout", ["LayoutKit"]),
        library("NBDLayout", ["LayoutKit"]),
        library("OCFS2Layout", ["LayoutKit"]),
        library("EngineKit"),
        library("NBDServer", ["EngineKit", "LayoutKit", "NBDLayout"]),
        library("Configuration"),
        // What a whole volume takes.
        .target(name: "CYoke", linkerSettings: [.linkedLibrary(":liburing.a")]),
        library("EngineSimulation", ["EngineKit"]),
        library("JournalLayout", ["LayoutKit"]),
        library("Journal", ["EngineKit", "LayoutKit", "JournalLayout"]),
        library("FileSystem", ["EngineKit", "LayoutKit", "OCFS2Layout", "Journal"]),
        library("VolumeTools", ["LayoutKit", "OCFS2Layout", "JournalLayout", "EngineKit", "CYoke"]),
        fuzzer("fuzz-bitmap", ["DRBDLayout", "LayoutKit"]),
        fuzzer("fuzz-configuration", ["Configuration"]),
        fuzzer("fuzz-image", ["EngineKit", "EngineSimulation", "FileSystem", "LayoutKit", "OCFS2Layout", "VolumeTools"]),
        fuzzer("fuzz-metadata", ["DRBDLayout", "LayoutKit"]),
        fuzzer("fuzz-nbd", ["NBDServer"]),
        fuzzer("fuzz-ocfs2", ["OCFS2Layout", "LayoutKit"]),
        fuzzer("fuzz-wire", ["DRBDLayout", "LayoutKit"]),
    ]
)

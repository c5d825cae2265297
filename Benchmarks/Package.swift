// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that nothing a benchmark needs reaches users. Driven by scripts/bench.
let package = Package(
    name: "yoke-benchmarks",
    targets: [.executableTarget(name: "tcp-ping-pong"), .executableTarget(name: "file-work")]
)

import ArgumentParser
import FileSystemSimulation

/// Histories of the filesystem on a disk in memory. See docs/internals/journal.md.
@main
struct Main: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "yoke-fs-sim",
        abstract: "Runs random workloads on a volume in memory, cuts the power, and checks what is left.",
        subcommands: [CrashCommand.self, ModelCommand.self])
}

/// The volume, by options of mkfs.ocfs2.
struct VolumeOptions: ParsableArguments {
    @Option(help: "Size of the volume in MiB.") var mebibytes = 48
    @Option(help: "Block size in bytes.") var blockSize = 1024
    @Option(help: "Cluster size in bytes.") var clusterSize = 4096
    @Option(help: "Features as mkfs.ocfs2 --fs-features takes them.") var features: String?

    var recipe: SimulatedVolume.Recipe {
        var recipe = SimulatedVolume.Recipe()
        recipe.mebibytes = mebibytes
        recipe.blockSize = blockSize
        recipe.clusterSize = clusterSize
        recipe.features = features.map { [$0] } ?? []
        return recipe
    }

    /// The options that repeat it.
    var text: String {
        "--mebibytes \(mebibytes) --block-size \(blockSize) --cluster-size \(clusterSize)\(features.map { " --features \($0)" } ?? "")"
    }
}

import ArgumentParser

@main
struct ClusterSimulator: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "yoke-cluster-sim", abstract: "Simulate clusters by seed.",
        subcommands: [RunCommand.self, FaultsCommand.self, WorkCommand.self], defaultSubcommand: RunCommand.self)
}

import ArgumentParser

@main
struct YokeSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "yoke-sim",
        abstract: "Runs replicated volumes in a world of virtual time, with faults, and checks what comes out.",
        discussion: """
            A history is two hosts with the real replication engine, their disks and the network between them, all in \
            memory; applications write and read, admins give commands, links are cut, disks fail, hosts crash. A seed \
            makes all of it. A seed that fails is replayed alone by `yoke-sim run --seed N --trace`.
            """,
        subcommands: [RunCommand.self, FaultsCommand.self, WorkCommand.self])
}

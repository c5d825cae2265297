package import ArgumentParser
internal import Configuration
internal import Glibc
internal import YokeControl

/// Entry of the `yoke` program, whatever name it is called by.
package enum CommandMain {
    /// Runs and never returns. Classic tools keep their own exit statuses; 64 of the argument parser is ours only.
    package static func run() async -> Never {
        signal(SIGPIPE, SIG_IGN)
        let invocation = Invocation(words: CommandLine.arguments)
        if invocation.tool != "yoke" { exit(await ClassicTools.run(invocation)) }
        // The options in front of the verb hold for all of them.
        if let root = invocation.root { setenv("YOKE_ROOT", root, 1) }
        if let node = invocation.node { setenv("YOKE_NODE", node, 1) }
        await YokeCommand.main(invocation.arguments)
        exit(0)
    }
}

package struct YokeCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "yoke",
        abstract: "Two servers, one live volume: administration of a yoked on this machine.",
        discussion: """
            Classic tools: yoke drbdadm ..., yoke drbdsetup ..., yoke drbdmeta ..., yoke drbd-overview, yoke mkfs.ocfs2
            ..., yoke mounted.ocfs2 ..., yoke mount.ocfs2 ..., yoke o2cb ..., also through links of these names
            (/sbin/mount.ocfs2 for mount(8) and fstab, /sbin/umount.fuse.ocfs2 so that umount(8) of a device, or of all,
            waits until the volume is clean).
            """,
        version: CommandVersion.text,
        subcommands: [
            Init.self, Join.self, Status.self, Check.self, Up.self, Down.self, Mount.self, Unmount.self, TakeOver.self,
            Export.self,
            Device.self, ProcDRBD.self,
        ])

    package init() {}
}

/// Options that every verb takes.
struct Place: ParsableArguments {
    @Option(help: "Directory below which all files of this host lie (or YOKE_ROOT).")
    var root: String?
    @Option(help: "Name of this host instead of the machine's (or YOKE_NODE).")
    var node: String?

    var call: DaemonCall {
        let paths = InstallationPaths(option: root)
        return DaemonCall(paths: paths, node: paths.nodeOverride(option: node))
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "How the resources do. Exit status: 0 healthy, 1 degraded, 2 broken, 20 no daemon.")

    @OptionGroup var place: Place
    @Flag(help: "For programs.") var json = false
    @Flag(help: "Print again whenever something changes.") var watch = false
    @Argument(help: "Resources; all if none is named.") var resources: [String] = []

    func run() throws {
        let flags = [(json, "--json"), (watch, "--watch"), (!StandardStreams.mayHaveColours, "--plain")]
        throw ExitCode(place.call.run(["status"] + flags.filter(\.0).map(\.1) + resources))
    }
}

struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Attach and connect resources (drbdadm up).")

    @OptionGroup var place: Place
    @Argument(help: "Resources; all if none is named.") var resources: [String] = []

    func run() async throws {
        throw ExitCode(await ClassicTools.administer(["up"] + (resources.isEmpty ? ["all"] : resources), place.call))
    }
}

struct Down: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Disconnect and detach resources (drbdadm down).")

    @OptionGroup var place: Place
    @Argument(help: "Resources; all if none is named.") var resources: [String] = []

    func run() async throws {
        throw ExitCode(await ClassicTools.administer(["down"] + (resources.isEmpty ? ["all"] : resources), place.call))
    }
}

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say how NBD clients reach a volume; open it on TCP (loopback only) or close that.")

    @OptionGroup var place: Place
    @Option(help: "Listen on this port of 127.0.0.1 (10809 is usual).") var tcp: Int?
    @Flag(help: "Stop listening on TCP.") var noTCP = false
    @Argument(help: "RESOURCE or RESOURCE/VOLUME; all if none is named.") var volumes: [String] = []

    func run() throws {
        var words = ["export"] + volumes
        if let tcp { words += ["--tcp", "\(tcp)"] }
        if noTCP { words.append("--no-tcp") }
        throw ExitCode(place.call.run(words))
    }
}

struct Device: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make the block device node of a Primary, /dev/drbdN, and print its path; or take it away.")

    @OptionGroup var place: Place
    @Flag(help: "Take the node away.") var remove = false
    @Flag(help: "Also while somebody uses it; who does gets errors.") var force = false
    @Argument(help: "RESOURCE or RESOURCE/VOLUME.") var volume: String

    func run() throws {
        throw ExitCode(
            place.call.run(["device", volume] + (remove ? ["--remove"] : []) + (force ? ["--force"] : [])))
    }
}

struct ProcDRBD: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proc-drbd", abstract: "The text of the kernel's /proc/drbd, counters and progress included.")

    @OptionGroup var place: Place

    func run() throws {
        throw ExitCode(place.call.run(["proc-drbd"]))
    }
}

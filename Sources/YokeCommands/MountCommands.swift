internal import ArgumentParser
internal import YokeControl

struct Mount: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Mount an OCFS2 volume; without arguments list what is mounted.",
        discussion: """
            DEVICE is a block device, a file, LABEL=..., UUID=..., a resource (r0 or r0/1) or /dev/drbdN. Options are
            those of the kernel's filesystem and of mount(8). Exit status: 0, 1 usage, 32 failure.
            """)

    @OptionGroup var place: Place
    @Option(name: .short, help: "Options, separated by commas.") var options: [String] = []
    @Argument(help: "DEVICE and DIRECTORY.") var names: [String] = []

    func run() throws {
        guard !names.isEmpty else { throw ExitCode(place.call.run(["mount"])) }
        throw ExitCode(MountHelper.mount(options.flatMap { ["-o", $0] } + names, place.call))
    }
}

struct Unmount: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "umount", abstract: "Unmount an OCFS2 volume, and wait until it is clean.")

    @OptionGroup var place: Place
    @Flag(name: [.customShort("l"), .long], help: "Also while it is used: it ends with its last user.") var lazy = false
    @Argument(help: "DIRECTORY or DEVICE.") var name: String

    func run() throws {
        throw ExitCode(MountHelper.unmount((lazy ? ["-l"] : []) + [name], place.call))
    }
}

struct TakeOver: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "takeover", abstract: "Go on with a frozen volume: you know that the other host is dead.",
        discussion: """
            A host that lost the other one, and cannot tell a dead host from a cut cable, freezes. If the other one
            still runs, both go on, and what one of them writes is lost later. Without a name: every frozen mount.
            """)

    @OptionGroup var place: Place
    @Argument(help: "DIRECTORY or DEVICE.") var name: String?

    func run() throws {
        throw ExitCode(place.call.run(["takeover"] + (name.map { [$0] } ?? [])))
    }
}

internal import ArgumentParser
internal import Glibc
internal import YokeControl

struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a replicated, mounted volume with another host: prints the line to run there.",
        discussion: """
            Both hosts run yoked. Without options: follow an init that waits. The disk is a new file,
            /var/lib/yoke/NAME.img, unless --disk names a device. Exit status: 0 done, 1 refused or failed, 3 the
            device holds something.
            """)

    @OptionGroup var place: Place
    @Option(help: "Size of the volume: 10G, 500M, 1.5T. Without it as large as the device.") var size: String?
    @Option(help: "Where it is mounted on both hosts.") var mount: String?
    @Option(help: "Address (IPv4) of this host that the other one reaches.") var address: String?
    @Option(help: "A device of this host instead of a new file. The other host chooses its own.") var disk: String?
    @Flag(help: "The new file gets its room as it is written.") var sparse = false
    @Option(help: "TCP port of the replication; the first free one from 7789 on.") var port: Int?
    @Option(help: "How long to wait for the other host: 30m, 1h, 2d.") var timeout: String?
    @Flag(help: "What the device holds may be lost.") var overwrite = false
    @Flag(help: "Wait for the other host no more.") var cancel = false
    @Argument(help: "Name of the resource and of the volume's label; also of the cluster, if there is none.")
    var name: String

    func run() throws {
        var words = ["init", name]
        for (option, value) in [("--size", size), ("--mount", mount), ("--address", address), ("--disk", disk)] {
            if let value { words += [option, value] }
        }
        if let port { words += ["--port", "\(port)"] }
        if let timeout { words += ["--timeout", timeout] }
        if sparse { words.append("--sparse") }
        if cancel { words.append("--cancel") }
        throw ExitCode(Overwriting.run(words, isAllowed: overwrite, place.call))
    }
}

struct Join: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Join the host where yoke init waits: the line that it printed.",
        discussion: "Exit status: 0 done, 1 refused or failed (everything is taken back), 3 the device holds something."
    )

    @OptionGroup var place: Place
    @Option(help: "Address (IPv4) of this host that the other one reaches.") var address: String?
    @Option(help: "A device of this host instead of a new file.") var disk: String?
    @Flag(help: "The new file gets its room as it is written.") var sparse = false
    @Flag(help: "What the device holds may be lost.") var overwrite = false
    @Argument(help: "Name of the resource.") var name: String
    @Argument(help: "HOST[:PORT] where yoke init waits.") var host: String
    @Argument(help: "The token that yoke init printed; it is good once.") var token: String

    func run() throws {
        var words = ["join", name]
        if let address { words += ["--address", address] }
        if let disk { words += ["--disk", disk] }
        if sparse { words.append("--sparse") }
        throw ExitCode(Overwriting.run(words + [host, token], isAllowed: overwrite, place.call))
    }
}

/// Asks on the terminal before a device that holds something is given.
private enum Overwriting {
    /// The daemon's answer that the device holds something.
    private static let holdsSomething: Int32 = 3

    static func run(_ words: [String], isAllowed: Bool, _ call: DaemonCall) -> Int32 {
        let status = call.run(words + (isAllowed ? ["--overwrite"] : []))
        guard status == holdsSomething, !isAllowed, isatty(STDIN_FILENO) == 1 else { return status }
        StandardStreams.error("Go on, and lose it? [need to type 'yes' to confirm] ")
        guard readLine() == "yes" else {
            StandardStreams.error("Nothing was changed.\n")
            return 1
        }
        return call.run(words + ["--overwrite"])
    }
}

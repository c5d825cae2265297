internal import Configuration
internal import Glibc
internal import VolumeTools
internal import YokeControl

/// mkfs.ocfs2 and mounted.ocfs2 on the devices of this root.
enum VolumeCommands {
    static func format(_ call: DaemonCall, _ arguments: [String]) -> Int32 {
        let environment = FormatTool.Environment(
            version: CommandVersion.text, random: ClassicTools.randomNumber, time: { UInt64(time(nil)) },
            open: { (path, writable) throws(OfflineDeviceError) in
                if writable, let directory = mountPoint(of: path, call) {
                    throw .inUse(path: path, by: "a mount on \(directory)")
                }
                return try FileOfflineDevice(path: call.paths.resolveDevice(path), writable: writable)
            })
        return FormatTool(environment: environment, streams: streams).run(arguments)
    }

    /// Where the daemon has the volume of a device mounted: it reaches the volume without the device node, whose claims tell
    /// of other users only.
    private static func mountPoint(of path: String, _ call: DaemonCall) -> String? {
        let answer = call.capture(["mount-point", path])
        guard let (status, output) = answer, status == 0, !output.isEmpty else { return nil }
        return String(output.prefix { $0 != "\n" })
    }

    static func mounted(_ call: DaemonCall, _ arguments: [String]) -> Int32 {
        let nodes = text(of: call.paths.path("/etc/ocfs2/cluster.conf"))
        let environment = MountedTool.Environment(
            partitions: { text(of: "/proc/partitions") },
            open: { (path) throws(OfflineDeviceError) in
                try FileOfflineDevice(path: call.paths.resolveDevice(path), writable: false)
            },
            nodeName: { cluster, number in ClusterNodeNames.name(of: number, cluster: cluster, in: nodes) })
        return MountedTool(environment: environment, streams: streams).run(arguments)
    }

    /// Empty when the file cannot be read.
    private static func text(of path: String) -> String {
        (try? FileConfigurationSource().read(path)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    private static var streams: ToolStreams {
        ToolStreams(
            output: StandardStreams.output, error: StandardStreams.error, readAnswer: { Swift.readLine() })
    }
}

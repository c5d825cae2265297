internal import OCFS2Layout

/// mounted.ocfs2: which volumes there are (`-d`), and which nodes have them mounted according to their slot maps
/// (`-f`). Spec: o2cb 16.1.
package struct MountedTool {
    package struct Environment {
        /// Contents of /proc/partitions.
        package var partitions: () -> String
        package var open: (_ path: String) throws(OfflineDeviceError) -> any OfflineDevice
        /// The name of a node of a cluster; nil: unknown.
        package var nodeName: (_ cluster: String, _ number: UInt32) -> String?

        package init(
            partitions: @escaping () -> String,
            open: @escaping (_ path: String) throws(OfflineDeviceError) -> any OfflineDevice,
            nodeName: @escaping (_ cluster: String, _ number: UInt32) -> String?
        ) {
            self.partitions = partitions
            self.open = open
            self.nodeName = nodeName
        }
    }

    private static let usage = """
        usage: mounted.ocfs2 [-dfv] [device]
        \t-d quick detect
        \t-f full detect
        \t-v verbose

        """

    private let environment: Environment
    private let streams: ToolStreams

    package init(environment: Environment, streams: ToolStreams) {
        self.environment = environment
        self.streams = streams
    }

    /// One line of the table.
    private struct Row {
        var device: String
        var stack = ""
        var cluster = ""
        var flag = " "
        var detail: String
    }

    /// Runs the command to its end; the result is its exit status.
    package func run(_ arguments: [String]) -> Int32 {
        var scanner = OptionScanner(arguments, options: [.init("d"), .init("f"), .init("v")])
        var isFull = false, isVerbose = false
        var operands: [String] = []
        do throws(OptionScanner.Failure) {
            while let item = try scanner.next() {
                switch item {
                case .operand(let word): operands.append(word)
                case .option(let name, _):
                    if name == "f" { isFull = true }
                    if name == "v" { isVerbose = true }
                }
            }
        } catch {
            streams.error("mounted.ocfs2: \(error.text)\n\(Self.usage)")
            return 1
        }
        guard !arguments.isEmpty, operands.count <= 1 else {
            streams.error(Self.usage)
            return 1
        }
        let devices = operands.first.map { [$0] } ?? Self.devices(inPartitions: environment.partitions())
        var rows: [Row] = []
        for device in devices {
            if isVerbose { streams.error("Probing device \(device)\n") }
            if let row = row(device, isFull: isFull) { rows.append(row) }
        }
        streams.output(Self.table(rows, isFull: isFull))
        return 0
    }

    /// Devices above 1 MiB; a whole disk is left out when a partition of it is there.
    static func devices(inPartitions text: String) -> [String] {
        var names: [String] = []
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count == 4, let blocks = UInt64(fields[2]), blocks > 1024 else { continue }
            names.append(String(fields[3]))
        }
        return names.filter { name in
            !names.contains { other in
                guard other.hasPrefix(name), other != name else { return false }
                var rest = other.dropFirst(name.count)
                if name.last?.isNumber == true, rest.popFirst() != "p" { return false }
                return !rest.isEmpty && rest.allSatisfy(\.isNumber)
            }
        }
        .map { "/dev/" + $0 }
    }

    private func row(_ device: String, isFull: Bool) -> Row? {
        let volume: OfflineVolume
        do throws(OfflineVolume.Failure) {
            guard let found = try open(device) else { return nil }
            volume = found
        } catch {
            guard case .corrupt = error else { return nil }
            return isFull ? Row(device: device, detail: "Unknown: \(error)") : nil
        }
        let superblock = volume.superblock
        let features = superblock.parameters.features
        let info = superblock.clusterInfo
        var row = Row(
            device: device, stack: features.isLocal ? "None" : info?.stack ?? "o2cb",
            cluster: features.isLocal ? "" : info?.clusterName ?? "",
            flag: info?.hasGlobalHeartbeat == true ? "G" : " ",
            detail: "\(superblock.uuid.hexadecimalText)  \(superblock.label)")
        if isFull { row.detail = nodes(volume, cluster: row.cluster) }
        return row
    }

    private func open(_ path: String) throws(OfflineVolume.Failure) -> OfflineVolume? {
        let device: any OfflineDevice
        do throws(OfflineDeviceError) { device = try environment.open(path) } catch { throw .device(error) }
        return try OfflineVolume(device)
    }

    private func nodes(_ volume: OfflineVolume, cluster: String) -> String {
        if volume.superblock.parameters.features.incompatible.contains(.heartbeatDevice) { return "Heartbeat device" }
        do throws(OfflineVolume.Failure) {
            let nodes = try volume.slots().nodes.compactMap { $0 }
            guard !nodes.isEmpty else { return "Not mounted" }
            return nodes.map { environment.nodeName(cluster, $0) ?? String($0) }.joined(separator: ", ")
        } catch {
            return "Unknown: \(error)"
        }
    }

    private static func table(_ rows: [Row], isFull: Bool) -> String {
        let deviceWidth = rows.reduce(7) { max($0, $1.device.count) }
        let clusterWidth = rows.reduce(7) { max($0, $1.cluster.count) }
        let line: (Row) -> String = { row in
            [pad(row.device, deviceWidth), pad(row.stack, 5), pad(row.cluster, clusterWidth), row.flag, row.detail]
                .joined(separator: "  ") + "\n"
        }
        let detail = isFull ? "Nodes" : pad("UUID", 32) + "  Label"
        let head = Row(device: "Device", stack: "Stack", cluster: "Cluster", flag: "F", detail: detail)
        return ([head] + rows).map(line).joined()
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}

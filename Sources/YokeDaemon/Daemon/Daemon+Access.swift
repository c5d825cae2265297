internal import LinuxReactor
internal import NBDServer
internal import Replication
internal import YokeControl

// `yoke export` and `yoke device`.
extension Daemon {
    private static let usage = "usage: yoke export [RESOURCE[/VOLUME]] [--tcp [PORT]] [--no-tcp]\n"
    private static let standardPort: UInt16 = 10809

    /// Says how NBD clients reach a volume; opens or closes TCP on the loopback address.
    func export(_ words: [String], _ output: ControlOutput) async -> Int32 {
        var names: [String] = []
        var port: UInt16?
        var closesTCP = false
        var rest = words[...]
        while let word = rest.popFirst() {
            switch word {
            case "--tcp":
                port = rest.first.flatMap { UInt16($0) } ?? Self.standardPort
                if rest.first.flatMap({ UInt16($0) }) != nil { rest = rest.dropFirst() }
            case _ where word.hasPrefix("--tcp="):
                guard let number = UInt16(word.dropFirst(6)) else { return output.usage(Self.usage) }
                port = number
            case "--no-tcp": closesTCP = true
            case _ where word.hasPrefix("-"): return output.usage(Self.usage)
            default: names.append(word)
            }
        }
        if names.isEmpty { names = registry.resources.map(\.name) }
        guard port == nil || names.count == 1 else { return output.usage(Self.usage) }
        var status: Int32 = 0
        for name in names {
            guard let found = find(name) else {
                status = notUp(name, output)
                continue
            }
            if await export(found.device, port: port, closesTCP: closesTCP, output) != 0 { status = 1 }
        }
        return status
    }

    private func export(
        _ device: ResourceRegistry.Device, port: UInt16?, closesTCP: Bool, _ output: ControlOutput
    ) async -> Int32 {
        let volume = device.volume
        let outcome = await device.runner.ask { runner -> (addresses: [SocketAddress], remark: String?)? in
            guard let door = runner.door(of: volume) else { return nil }
            if closesTCP { _ = door.closeTCP() }
            var remark: String?
            if let port {
                do throws(SystemError) {
                    _ = try door.open(.ipv4(address: 0x7f00_0001, port: port))
                } catch {
                    remark = error.description
                }
            }
            if remark == nil, case .refused(let reason) = runner.exportAnswer(for: volume) { remark = reason }
            return (door.addresses, remark)
        }
        guard let outcome = outcome ?? nil else { return notUp("\(device.runner.name)/\(volume)", output) }
        let name = "\(device.runner.name)/\(volume)"
        output.standardOutput("nbd+unix:///\(name)?socket=\(paths.path("/run/yoke/nbd.sock"))\n")
        for address in outcome.addresses {
            switch address {
            case .unix(let path): output.standardOutput("nbd+unix:///?socket=\(path)\n")
            case .ipv4, .ipv6: output.standardOutput("nbd://\(address)/\(name)\n")
            }
        }
        if let remark = outcome.remark {
            output.standardError("\(name): \(remark)\n")
            return 1
        }
        return 0
    }

    /// Makes the block device node of a volume, or takes it away.
    func device(_ words: [String], _ output: ControlOutput) async -> Int32 {
        let names = words.filter { !$0.hasPrefix("-") }
        let flags = words.filter { $0.hasPrefix("-") }
        guard names.count == 1, flags.allSatisfy({ ["--remove", "--force"].contains($0) }) else {
            return output.usage("usage: yoke device RESOURCE[/VOLUME] [--remove [--force]]\n")
        }
        guard let found = find(names[0]) else { return notUp(names[0], output) }
        if flags.contains("--remove") {
            guard let reason = await nodes.remove(found.device, force: flags.contains("--force")) else { return 0 }
            output.standardError(reason)
            return 11
        }
        do throws(DeviceNodes.Failure) {
            let path = try await nodes.make(found.device, minor: found.minor, paths: paths)
            output.standardOutput(path + "\n")
            return 0
        } catch {
            output.standardError(error.text + "\n")
            return 1
        }
    }
}

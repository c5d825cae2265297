internal import Administration
internal import Configuration
internal import Glibc
internal import YokeControl

/// `o2cb` on the files below the root and the daemon there.
enum ClusterTool {
    static func run(_ arguments: [String], _ call: DaemonCall) -> Int32 {
        ClusterProgram.run(
            arguments,
            ClusterProgramContext(
                root: call.paths.root, source: FileConfigurationSource(),
                hostName: call.node ?? ClassicTools.hostName(), service: ControlledCluster(call: call),
                output: ClientOutput(), resolve: address, isBlockDevice: isBlockDevice, readLine: { readLine() }))
    }

    /// The first IPv4 address of a name, from the hosts file or a name server.
    private static func address(of name: String) -> AddressLookup {
        var hints = addrinfo()
        hints.ai_family = AF_INET
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(name, nil, &hints, &list)
        guard code == 0, let first = list?.pointee.ai_addr else { return .failed(String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(list) }
        var buffer = [CChar](repeating: 0, count: 64)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = getnameinfo(first, length, &buffer, socklen_t(buffer.count), nil, 0, NI_NUMERICHOST)
        guard result == 0 else { return .failed(String(cString: gai_strerror(result))) }
        return .address(String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

    private static func isBlockDevice(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_mode & Glibc.S_IFMT == Glibc.S_IFBLK
    }
}

/// The daemon's cluster, through the control socket: `cluster register NAME FILE`, `cluster unregister NAME`,
/// `cluster status`.
private struct ControlledCluster: ClusterService {
    let call: DaemonCall

    func register(_ cluster: String, file: String) -> ClusterServiceAnswer { ask(["register", cluster, file]) }
    func unregister(_ cluster: String) -> ClusterServiceAnswer { ask(["unregister", cluster]) }

    func state() -> ClusterServiceState? {
        guard let (status, output) = call.capture(["cluster", "status"]), status == 0 else { return nil }
        return ClusterServiceState(text: output)
    }

    private func ask(_ words: [String]) -> ClusterServiceAnswer {
        var text = ""
        do throws(ControlError) {
            let status = try ControlClient(paths: call.paths).run(
                ControlRequest(command: ["cluster"] + words, node: call.node)
            ) { reply in
                switch reply {
                case .standardOutput(let part): StandardStreams.output(part)
                case .standardError(let part): text += part
                case .exit: break
                }
            }
            guard status == 0 else { return .refused(text) }
            StandardStreams.error(text)
            return .done
        } catch {
            return .unreachable(error.description)
        }
    }
}

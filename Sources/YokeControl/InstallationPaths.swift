#if canImport(Glibc)
    internal import Glibc
#endif

/// Where the files of one installation lie: everything is below a root, so that many hosts live on one machine.
///
/// The root of a real host is `/`. `YOKE_ROOT` and `YOKE_NODE` stand in for `--root` and `--node`.
package struct InstallationPaths: Equatable, Sendable {
    /// Absolute, without a trailing slash; empty for `/`.
    private let prefix: String

    package init(root: String) {
        var root = root
        if !root.hasPrefix("/"), let directory = Self.workingDirectory() {
            root = root.isEmpty || root == "." ? directory : directory + "/" + root
        }
        while root.hasSuffix("/") { root.removeLast() }
        prefix = root
    }

    /// The root that `--root` names, else `YOKE_ROOT`, else `/`.
    package init(option: String?) {
        self.init(root: option ?? Self.environment("YOKE_ROOT") ?? "/")
    }

    /// The root as a person writes it.
    package var root: String { prefix.isEmpty ? "/" : prefix }

    /// `path` below the root.
    package func path(_ path: String) -> String { prefix + path }

    package var runDirectory: String { path("/run/yoke") }
    package var stateDirectory: String { path("/var/lib/yoke") }
    package var controlSocket: String { path("/run/yoke/yoked.sock") }
    package var lockFile: String { path("/run/yoke/yoked.lock") }
    package var configuration: String { path("/etc/drbd.conf") }

    /// The NBD socket of one volume. A resource's name may hold what a file name may not.
    package func nbdSocket(resource: String, volume: Int) -> String {
        let name = String(resource.map { $0 == "/" ? "_" : $0 })
        return path("/run/yoke/\(name).\(volume).nbd")
    }

    /// A device or file that a configuration or a person names: below the root if it exists there, else as it is.
    ///
    /// So a configuration can be copied unchanged into a root of its own, and can still name a device of the machine.
    package func resolveDevice(_ name: String) -> String {
        guard name.hasPrefix("/"), !prefix.isEmpty, !name.hasPrefix(prefix + "/") else { return name }
        let below = prefix + name
        return access(below, F_OK) == 0 ? below : name
    }

    /// The name that this host was given instead of the machine's: `--node`, else `YOKE_NODE`, else the name that the
    /// daemon under this root was started with. Nil: it has the machine's name.
    package func nodeOverride(option: String?) -> String? {
        option ?? Self.environment("YOKE_NODE") ?? announcedNode
    }

    private var nodeFile: String { path("/run/yoke/node") }

    /// What ``announce(node:)`` left; nil when there is nothing.
    private var announcedNode: String? {
        let descriptor = open(nodeFile, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        let name = String(decoding: bytes.prefix(max(0, count)).prefix { $0 != 0x0a }, as: UTF8.self)
        return name.isEmpty ? nil : name
    }

    /// Lets commands under this root know which node the daemon is, so that `--node` is needed once only.
    package func announce(node: String?) {
        guard let node else {
            unlink(nodeFile)
            return
        }
        let descriptor = open(nodeFile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        let bytes = Array((node + "\n").utf8)
        _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
    }

    private static func environment(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }

    private static func workingDirectory() -> String? {
        guard let buffer = getcwd(nil, 0) else { return nil }
        defer { free(buffer) }
        return String(cString: buffer)
    }
}

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

    /// The name of this host: `--node`, else `YOKE_NODE`, else what the kernel says.
    package static func nodeName(option: String?) -> String {
        if let name = option ?? environment("YOKE_NODE") { return name }
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
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

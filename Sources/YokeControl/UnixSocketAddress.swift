#if canImport(Glibc)
    package import Glibc
#endif

/// Addresses of Unix sockets, also where the path is longer than the 107 bytes that fit in one.
package enum UnixSocketAddress {
    /// Bytes of `sun_path` without its trailing zero.
    package static let pathByteCountMax = 107

    /// Calls `body` with a path that fits: `path` itself, or its name below `/proc/self/fd/N` with the directory open
    /// as N. Nil when the directory cannot be opened or the name alone is too long.
    package static func withReachablePath<Result>(_ path: String, _ body: (String) -> Result?) -> Result? {
        if path.utf8.count <= pathByteCountMax { return body(path) }
        guard let slash = path.lastIndex(of: "/") else { return nil }
        let directory = open(String(path[..<slash]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return nil }
        defer { close(directory) }
        let short = "/proc/self/fd/\(directory)/\(path[path.index(after: slash)...])"
        return short.utf8.count <= pathByteCountMax ? body(short) : nil
    }

    /// Calls `body` with the address of `path`; nil when the path does not fit.
    package static func withSocketAddress<Result>(
        path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result? {
        guard path.utf8.count <= pathByteCountMax else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

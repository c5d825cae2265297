internal import Glibc

/// The files of this machine.
package struct FileConfigurationSource: ConfigurationSource {
    /// What `STDIN` reads: drbdadm's `-c -`.
    package static let standardInputName = "STDIN"

    package init() {}

    package func read(_ path: String) throws(SourceError) -> [UInt8] {
        if path == Self.standardInputName {
            return try readAll(STDIN_FILENO, path: path)
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let code = errno
            throw code == ENOENT ? .notFound(path: path) : .unreadable(path: path, reason: Self.text(of: code))
        }
        defer { close(descriptor) }
        return try readAll(descriptor, path: path)
    }

    package func glob(_ pattern: String) -> [String] {
        var result = glob_t()
        defer { globfree(&result) }
        guard Glibc.glob(pattern, 0, nil, &result) == 0 else { return [] }
        var paths: [String] = []
        for index in 0..<Int(result.gl_pathc) {
            if let path = result.gl_pathv[index] { paths.append(String(cString: path)) }
        }
        return paths
    }

    package func realPath(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private func readAll(_ descriptor: CInt, path: String) throws(SourceError) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = piece.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                let code = errno
                if code == EINTR { continue }
                throw .unreadable(path: path, reason: Self.text(of: code))
            }
            if count == 0 { return bytes }
            bytes.append(contentsOf: piece[..<count])
            if bytes.count > configurationByteCountMax {
                throw .tooLarge(path: path, byteCountMax: configurationByteCountMax)
            }
        }
    }

    private static func text(of code: CInt) -> String {
        guard let text = strerror(code) else { return "error \(code)" }
        return String(cString: text)
    }
}

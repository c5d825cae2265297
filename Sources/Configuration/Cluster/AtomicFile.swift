internal import Glibc

/// Replaces a whole file: readers see the old text or the new one, after a power cut too.
package enum AtomicFile {
    package struct Failure: Error, Equatable, Sendable {
        package var path: String
        /// In the system's words.
        package var reason: String
        package var code: Int32
    }

    /// Writes a neighbour, syncs it, renames it over `path` and syncs the directory, which is made if it is missing.
    ///
    /// A link is followed. The mode is that of the file that is there, or `mode`. Spec: o2cb 2.4.
    package static func replace(_ path: String, with text: String, mode: UInt32 = 0o644) throws(Failure) {
        let target = FileConfigurationSource().realPath(path)
        let directory = directory(of: target)
        makeDirectories(directory)
        var facts = stat()
        let mode = stat(target, &facts) == 0 ? facts.st_mode & 0o7777 : mode
        var template = Array("\(target)XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw failure(path) }
        let temporary = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        do throws(Failure) {
            try write(text, to: descriptor, path)
            guard fchmod(descriptor, mode) == 0, fsync(descriptor) == 0 else { throw failure(path) }
            guard rename(temporary, target) == 0 else { throw failure(path) }
        } catch {
            close(descriptor)
            unlink(temporary)
            throw error
        }
        close(descriptor)
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    private static func write(_ text: String, to descriptor: CInt, _ path: String) throws(Failure) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR {
                throw failure(path)
            }
        }
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Failure shows when the file is made.
    private static func makeDirectories(_ path: String) {
        var partial = ""
        for part in path.split(separator: "/") {
            partial += (partial.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            mkdir(partial, 0o755)
        }
    }

    private static func failure(_ path: String) -> Failure {
        let code = errno
        return Failure(path: path, reason: strerror(code).map { String(cString: $0) } ?? "error \(code)", code: code)
    }
}

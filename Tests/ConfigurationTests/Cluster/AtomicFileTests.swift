import Configuration
import Glibc
import Testing

@Suite struct AtomicFileTests {
    /// Runs with a directory of its own.
    private func inDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/yoke-atomic-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer { _ = try? ClassicProgram.shell("rm -r '\(directory)'") }
        try body(directory)
    }

    private func text(_ path: String) throws -> String {
        String(decoding: try FileConfigurationSource().read(path), as: UTF8.self)
    }

    private func mode(_ path: String) -> UInt32 {
        var facts = stat()
        return stat(path, &facts) == 0 ? facts.st_mode & 0o7777 : 0
    }

    @Test("a new file has the usual mode, and its directories are made")
    func newFile() throws {
        try inDirectory { directory in
            try AtomicFile.replace("\(directory)/etc/ocfs2/cluster.conf", with: "a\n")
            #expect(try text("\(directory)/etc/ocfs2/cluster.conf") == "a\n")
            #expect(mode("\(directory)/etc/ocfs2/cluster.conf") == 0o644)
        }
    }

    @Test("a replaced file keeps its mode, a link stays one, and nothing else is left")
    func replacedFile() throws {
        try inDirectory { directory in
            try AtomicFile.replace("\(directory)/file", with: "old\n")
            chmod("\(directory)/file", 0o600)
            symlink("file", "\(directory)/link")
            try AtomicFile.replace("\(directory)/link", with: "new\n")
            #expect(try text("\(directory)/file") == "new\n")
            #expect(mode("\(directory)/file") == 0o600)
            #expect(try ClassicProgram.shell("ls -F \(directory)") == "file\nlink@\n")
        }
    }

    @Test("a failure leaves the old file and nothing beside it, and says why")
    func failure() throws {
        try inDirectory { directory in
            mkdir("\(directory)/file", 0o755)
            let failure = #expect(throws: AtomicFile.Failure.self) {
                try AtomicFile.replace("\(directory)/file", with: "new\n")
            }
            #expect(failure?.code == EISDIR && failure?.reason == "Is a directory")
            let left = try ClassicProgram.shell("ls -F \(directory)")
            #expect(left == "file/\n")
        }
    }
}

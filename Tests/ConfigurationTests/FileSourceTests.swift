import Configuration
import Glibc
import Testing

@Suite struct FileSourceTests {
    /// A directory that is gone at the end.
    private func withDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/yoke-files-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer { _ = try? ClassicProgram.shell("rm -r \(directory)") }
        try body(directory)
    }

    private func write(_ text: String, _ path: String) throws {
        let file = try #require(fopen(path, "w"))
        fputs(text, file)
        fclose(file)
    }

    @Test("real files: globs are sorted, links are read once, a missing or odd file is an error in words")
    func files() throws {
        try withDirectory { directory in
            #expect(mkdir(directory + "/drbd.d", 0o755) == 0)
            try write("include \"drbd.d/*.res\";\ninclude \"drbd.d\";\n", directory + "/drbd.conf")
            try write(resource(""), directory + "/drbd.d/b.res")
            try write("common { }", directory + "/drbd.d/a.res")
            #expect(symlink("b.res", directory + "/drbd.d/c.res") == 0)
            let source = FileConfigurationSource()
            let loaded = ConfigurationLoader.load(
                path: directory + "/drbd.conf", source: source, identity: HostIdentity(nodeName: "alpha"))
            #expect(loaded.files == ["drbd.conf", "drbd.d/a.res", "drbd.d/b.res"].map { "\(directory)/\($0)" })
            #expect(loaded.errors.map(\.kind) == [.includeFailed])
            #expect(loaded.errors.first?.hints == ["\(directory)/drbd.d: Is a directory"])
            #expect(throws: SourceError.notFound(path: directory + "/x")) { try source.read(directory + "/x") }
            #expect(source.realPath(directory + "/drbd.d/c.res").hasSuffix("/drbd.d/b.res"))
        }
    }

    @Test("a file that is too large is refused instead of filling the memory")
    func largeFile() throws {
        try withDirectory { directory in
            let path = directory + "/drbd.conf"
            try write("", path)
            #expect(truncate(path, 64 << 20) == 0)
            let loaded = ConfigurationLoader.load(
                path: path, source: FileConfigurationSource(), identity: HostIdentity(nodeName: "alpha"))
            #expect(loaded.errors.first?.lines.last == "\tthe file is larger than \(4 << 20) bytes")
            #expect(loaded.exitCode == 20)
        }
    }

    @Test(
        "the files that a distribution installs are read without a word",
        .enabled(if: access("/etc/drbd.d/global_common.conf", R_OK) == 0, "needs drbd-utils"))
    func distribution() {
        let loaded = ConfigurationLoader.load(
            path: "/etc/drbd.d/global_common.conf", source: FileConfigurationSource(),
            identity: HostIdentity(nodeName: "alpha"))
        #expect(loaded.diagnostics == [])
    }
}

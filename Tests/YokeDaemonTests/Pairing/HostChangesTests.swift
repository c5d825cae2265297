import Glibc
import Testing

@testable import YokeDaemon

/// A directory of its own.
private final class Folder {
    let path: String

    init() {
        var template = Array("/tmp/yoke-changes-XXXXXX".utf8CString)
        mkdtemp(&template)
        path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in ["fstab", "new", "disk", "setup-web.json", "a/b", "a"] { remove("\(path)/\(name)") }
        rmdir(path)
    }

    func put(_ name: String, _ bytes: [UInt8]) {
        let file = fopen("\(path)/\(name)", "w")
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    func text(_ name: String) -> String? { HostFindings.text(of: "\(path)/\(name)") }
    func exists(_ name: String) -> Bool { access("\(path)/\(name)", F_OK) == 0 }

    /// A set-up that changed one of each.
    func changed() throws -> HostChanges {
        put("fstab", Array("proc\n".utf8))
        let changes = HostChanges(resource: "web", stateDirectory: path)
        try changes.makeImage("\(path)/disk", byteCount: 1 << 20, isSparse: false)
        try changes.write("\(path)/fstab", "proc\nmore\n")
        try changes.write("\(path)/new", "text", mode: 0o600)
        try changes.makeDirectory("\(path)/a/b")
        return changes
    }

    var isAsBefore: Bool {
        text("fstab") == "proc\n" && !["new", "disk", "a", "setup-web.json"].contains(where: exists)
    }
}

@Suite struct HostChangesTests {
    @Test("everything is taken back")
    func takeBack() throws {
        let folder = Folder()
        let changes = try folder.changed()
        #expect(folder.text("fstab") == "proc\nmore\n" && folder.text("new") == "text" && folder.exists("a/b"))
        var facts = stat()
        #expect(stat("\(folder.path)/disk", &facts) == 0 && facts.st_size == 1 << 20 && facts.st_blocks == 2048)
        #expect(stat("\(folder.path)/new", &facts) == 0 && facts.st_mode & 0o777 == 0o600)
        #expect(changes.takeBack().isEmpty)
        #expect(folder.isAsBefore)
    }

    @Test("what is kept stays, and nothing is left to take back")
    func keep() throws {
        let folder = Folder()
        let changes = try folder.changed()
        changes.keep()
        #expect(changes.takeBack().isEmpty)
        #expect(folder.text("fstab") == "proc\nmore\n" && folder.exists("disk"))
        #expect(HostChanges.unfinished(stateDirectory: folder.path).isEmpty)
    }

    @Test("a crash is taken back by who comes after")
    func crash() throws {
        let folder = Folder()
        _ = try folder.changed()
        let left = HostChanges.unfinished(stateDirectory: folder.path)
        #expect(left.map(\.resource) == ["web"])
        #expect(left.flatMap { $0.takeBack() }.isEmpty)
        #expect(folder.isAsBefore)
    }

    @Test("what somebody else changed meanwhile stays, and is named")
    func foreignChange() throws {
        let folder = Folder()
        let changes = try folder.changed()
        folder.put("fstab", Array("mine\n".utf8))
        folder.put("a/b/kept", [])
        let problems = changes.takeBack()
        #expect(problems == ["\(folder.path)/fstab was changed by somebody else and stays as it is"])
        #expect(folder.text("fstab") == "mine\n" && folder.exists("a/b/kept"))
        remove("\(folder.path)/a/b/kept")
    }

    @Test("a file that is there already is not taken for one's own, and not removed")
    func foreignImage() throws {
        let folder = Folder()
        folder.put("disk", Array("precious".utf8))
        let changes = HostChanges(resource: "web", stateDirectory: folder.path)
        #expect(throws: (any Error).self) {
            try changes.makeImage("\(folder.path)/disk", byteCount: 4096, isSparse: true)
        }
        #expect(changes.takeBack().isEmpty)
        #expect(folder.text("disk") == "precious")
    }

    @Test("a file that is no text is not touched")
    func noText() throws {
        let folder = Folder()
        folder.put("fstab", [0x23, 0xe9, 0x0a])
        let changes = HostChanges(resource: "web", stateDirectory: folder.path)
        #expect(throws: (any Error).self) { try changes.write("\(folder.path)/fstab", "x") }
        #expect(changes.takeBack().isEmpty)
        #expect(folder.text("fstab")?.hasPrefix("#") == true)
    }
}

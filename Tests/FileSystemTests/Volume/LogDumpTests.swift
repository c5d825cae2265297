import EngineKit
import EngineSimulation
import FileSystem
import Testing

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct LogDumpTests {
    @Test("debugfs.ocfs2 decodes what is in our log", arguments: [[], ["-J", "size=4M,block64"]])
    func logdump(more: [String]) throws {
        let image = try VolumeImage.make(.init(more: more))
        let volume = try image.mount()
        let number = try image.environment.wait { () async throws(FileSystemError) -> UInt64 in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            let file = try await volume.createFile(
                FileName(Array("logged".utf8)), in: root, NewNode(mode: 0o644, caller: .system))
            defer { file.release() }
            try await volume.commit()
            return file.number
        }
        // As after a crash: the log has not been emptied.
        let text = image.debugfs("logdump 0")
        #expect(text.contains("JBD2_DESCRIPTOR_BLOCK") && text.contains("JBD2_COMMIT_BLOCK"), "\(text)")
        #expect(text.contains("\(number)"), "\(text)")
        image.unmount(volume)
        #expect(image.faults() == [])
    }
}

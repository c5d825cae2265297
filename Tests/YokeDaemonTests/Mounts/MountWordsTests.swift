import Testing

@testable import YokeDaemon

@Suite struct MountWordsTests {
    @Test("sync, dirsync and localflocks reach the filesystem; async takes sync back")
    func synchronous() throws {
        let words = try MountWords("sync,dirsync,localflocks")
        #expect(words.volume.isSynchronous && words.volume.hasSynchronousDirectories && words.volume.hasLocalFileLocks)
        #expect(words.flags.isSuperset(of: [.synchronous, .directorySynchronous]))
        let later = try MountWords("sync,async")
        #expect(!later.volume.isSynchronous && !later.flags.contains(.synchronous))
        let none = try MountWords("defaults")
        #expect(!none.volume.isSynchronous && !none.volume.hasSynchronousDirectories)
        #expect(!none.volume.hasLocalFileLocks)
    }
}

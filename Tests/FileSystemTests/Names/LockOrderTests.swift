import EngineKit
import EngineSimulation
import FileSystem
import OCFS2Layout
import Testing

/// Which cluster locks an operation takes, and in which order. Spec: ocfs2-cluster 6, 7.
@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct LockOrderTests {
    @Test("names are changed under directory, child, name, orphan directory, in this order")
    func order() throws {
        let image = try VolumeImage.make(.init(isLocal: false))
        let locks = RecordingLocks()
        let environment = image.environment, device = image.device
        let volume = try environment.wait { () async throws(MountError) in
            try await MountedVolume.mount(
                device: device, environment: environment, locks: locks, options: MountOptions(), nodeNumber: 0)
        }
        try environment.wait { () async throws in
            let root = try await volume.rootDirectory()
            let a = try await volume.makeDirectory(.of("a"), in: root, newDirectory)
            let b = try await volume.makeDirectory(.of("b"), in: a, newDirectory)
            let file = try await volume.createFile(.of("f"), in: a, newFile)
            let other = try await volume.createFile(.of("g"), in: b, newFile)
            let orphans = try await volume.orphanDirectory(slot: volume.slot).number
            let (r, an, bn, fn, gn) = (root.number, a.number, b.number, file.number, other.number)
            /// What `body` acquires; allocators, which are many, left out.
            func recorded(_ body: () async throws -> Void) async throws -> [String] {
                locks.clear()
                try await body()
                let known = Set([r, an, bn, fn, gn, orphans].map { "\($0)" })
                return locks.acquired.filter { lock in
                    lock.hasPrefix("N") || lock.hasPrefix("R")
                        || known.contains(String(lock.dropFirst().prefix { $0.isNumber }))
                }
            }

            let created = try await recorded {
                try await volume.createFile(.of("x"), in: a, newFile).release()
            }
            #expect(created.first == "M\(an) EX")
            #expect(created.last?.hasPrefix("N\(an)/") == true && created.last?.hasSuffix(" PR") == true)

            let linked = try await recorded { try await volume.link(file, to: .of("y"), in: b) }
            #expect(linked == ["M\(bn) EX", "M\(fn) EX", "N\(bn)/\(fn) PR"])

            let unlinked = try await recorded { try await volume.unlink(.of("y"), in: b) }
            #expect(unlinked == ["M\(bn) EX", "M\(fn) EX", "N\(bn)/\(fn) EX"])

            let last = try await recorded { try await volume.unlink(.of("f"), in: a) }
            #expect(last == ["M\(an) EX", "M\(fn) EX", "N\(an)/\(fn) EX", "M\(orphans) EX"])

            let moved = try await recorded {
                try await volume.rename(.of("g"), in: b, to: .of("h"), in: a, .replace)
            }
            // The paths of both directories first, then the upper directory, the lower one, the file.
            #expect(moved.first == "R0 EX")
            #expect(moved.suffix(5) == ["M\(an) EX", "M\(bn) EX", "M\(gn) EX", "N\(bn)/\(gn) EX", "N\(an)/\(gn) PR"])
            #expect(moved.dropFirst().dropLast(5).allSatisfy { $0.hasPrefix("M") && $0.hasSuffix(" PR") })

            let stat = try await recorded { _ = try await volume.attributes(of: other) }
            #expect(stat == ["M\(gn) PR"])
            for inode in [other, file, b, a, root] { inode.release() }
        }
        image.unmount(volume)
        #expect(image.faults() == [])
    }
}

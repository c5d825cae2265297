internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import Testing

@Suite("Disk files")
struct DiskFileTests {
    /// A directory on a real filesystem, and one in memory.
    static let places = ["/var/tmp", "/dev/shm"]

    @Test("what was written is read back, in every size and kind of write", arguments: Reactor.Backend.tested, places)
    func roundTrip(backend: Reactor.Backend, place: String) async throws {
        let directory = try TemporaryDirectory(in: place)
        let disk = try DiskFile.open(path: directory.file("disk", byteCount: 8 << 20), access: .readWrite)
        let test = try TestReactor(backend)
        #expect(disk.capacity == 8 << 20)
        for (index, byteCount) in [512, 4096, 4608, 1 << 20].enumerated() {
            let offset = UInt64(index) * (1 << 20) + 512
            let byte = UInt8(index + 1)
            #expect(try await test.write(byte, disk, at: offset, byteCount: byteCount) == 0)
            #expect(try await test.readUniform(disk, at: offset, byteCount: byteCount) == byte)
            #expect(
                try await test.write(
                    byte | 0x80, disk, at: offset, byteCount: byteCount, flushBefore: true, forceUnitAccess: true) == 0)
            #expect(try await test.readUniform(disk, at: offset, byteCount: byteCount) == byte | 0x80)
        }
        #expect(try await test.complete(.flush, disk) == 0)
        #expect(try await test.readUniform(disk, at: 0, byteCount: 512) == 0)
    }

    @Test("zeroes and discards leave zeroes and their neighbours alone", arguments: Reactor.Backend.tested, places)
    func zeroes(backend: Reactor.Backend, place: String) async throws {
        let directory = try TemporaryDirectory(in: place)
        let disk = try DiskFile.open(path: directory.file("disk", byteCount: 4 << 20), access: .readWrite)
        let test = try TestReactor(backend)
        #expect(disk.canDiscard && disk.discardZeroes)
        for kind in [DiskRequest.Kind.discard, .writeZeroes(mayUnmap: true), .writeZeroes(mayUnmap: false)] {
            #expect(try await test.write(7, disk, at: 0, byteCount: 2 << 20) == 0)
            #expect(try await test.complete(kind, disk, at: 4608, byteCount: 1 << 20) == 0)
            #expect(try await test.readUniform(disk, at: 0, byteCount: 4608) == 7)
            #expect(try await test.readUniform(disk, at: 4608, byteCount: 1 << 20) == 0)
            #expect(try await test.readUniform(disk, at: 4608 + (1 << 20), byteCount: 4096) == 7)
        }
    }
}

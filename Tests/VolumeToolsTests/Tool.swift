import Foundation
import Glibc
import OCFS2Layout

@testable import VolumeTools

/// The classic tools, where they are installed.
enum ClassicTool {
    static let isInstalled = ["mkfs.ocfs2", "fsck.ocfs2", "debugfs.ocfs2"].allSatisfy {
        FileManager.default.isExecutableFile(atPath: "/usr/sbin/\($0)")
    }

    /// Runs a tool to its end; output and errors together.
    @discardableResult
    static func run(_ name: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        // fsck.ocfs2 fills whatever memory it gets with a cache, which takes ten times as long as its work.
        process.arguments = ["-c", "ulimit -v 60000; exec \"$@\"", "sh", "/usr/sbin/\(name)"] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}

/// A sparse file for one test.
final class ImageFile {
    let path: String
    let size: UInt64

    init(size: UInt64) throws {
        // In memory where possible: the tools flush what they write.
        let memory = "/dev/shm/"
        let directory = FileManager.default.isWritableFile(atPath: memory) ? memory : NSTemporaryDirectory()
        path = directory + "yoke-volume-\(UUID().uuidString)"
        self.size = size
        guard FileManager.default.createFile(atPath: path, contents: nil) else { throw CocoaError(.fileWriteUnknown) }
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.truncate(atOffset: size)
        try handle.close()
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func read(at offset: UInt64, count: Int) throws -> [UInt8] {
        let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? handle.close() }
        try handle.seek(toOffset: offset)
        return Array(try handle.read(upToCount: count) ?? Data())
    }

    func superblock() throws -> Superblock? {
        try read(at: 0, count: 12288).withUnsafeBytes { try Superblock.probe($0) }
    }

    /// Calls `body` with every block that is not all zero.
    func forEachBlockWithData(_ blockSize: Int, _ body: (UInt64, [UInt8]) -> Void) throws {
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        let piece = 1 << 16
        let zeroes = [UInt8](repeating: 0, count: piece)
        var buffer = zeroes
        var offset: off_t = 0
        while true {
            // SEEK_DATA
            offset = lseek(descriptor, offset, 3)
            guard offset >= 0 else { return }
            offset -= offset % off_t(piece)
            let count = pread(descriptor, &buffer, piece, offset)
            if memcmp(buffer, zeroes, count) != 0 {
                for part in stride(from: 0, to: count, by: blockSize) {
                    let bytes = Array(buffer[part..<part + blockSize])
                    if memcmp(bytes, zeroes, blockSize) != 0 {
                        body((UInt64(offset) + UInt64(part)) / UInt64(blockSize), bytes)
                    }
                }
            }
            offset += off_t(piece)
        }
    }
}

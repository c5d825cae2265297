import EngineKit
import EngineSimulation
import FileSystem
import Testing

/// One file and what it must contain.
final class FileUnderTest {
    let volume: MountedVolume
    let inode: Inode
    var model: [UInt8] = []
    private let buffer = IOBuffer(byteCount: 4 << 20)

    init(_ volume: MountedVolume, _ inode: Inode) {
        self.volume = volume
        self.inode = inode
    }

    func write(_ bytes: [UInt8], at offset: Int, _ mode: WriteMode = WriteMode(), shift: Int = 0) async throws {
        let slice = IOSlice(buffer: buffer, offset: shift, count: bytes.count)
        slice.bytes.copyBytes(from: bytes)
        let (count, place) = try await volume.write(inode, at: UInt64(offset), slice, mode)
        #expect(count == bytes.count)
        let start = mode.appends ? model.count : offset
        #expect(place == UInt64(start))
        if model.count < start + count { model += [UInt8](repeating: 0, count: start + count - model.count) }
        model.replaceSubrange(start..<start + count, with: bytes)
    }

    func resize(to count: Int) async throws {
        var change = AttributeChange()
        change.size = UInt64(count)
        _ = try await volume.setAttributes(of: inode, to: change, caller: .system)
        if count < model.count {
            model.removeSubrange(count...)
        } else {
            model += [UInt8](repeating: 0, count: count - model.count)
        }
    }

    func punch(_ range: Range<Int>) async throws {
        try await volume.allocate(inode, UInt64(range.lowerBound)..<UInt64(range.upperBound), .punchHole)
        for index in range.clamped(to: 0..<model.count) { model[index] = 0 }
    }

    func allocate(_ range: Range<Int>, keepsSize: Bool) async throws {
        try await volume.allocate(
            inode, UInt64(range.lowerBound)..<UInt64(range.upperBound), .allocate(keepsSize: keepsSize))
        if !keepsSize, range.upperBound > model.count {
            model += [UInt8](repeating: 0, count: range.upperBound - model.count)
        }
    }

    func read(_ range: Range<Int>, shift: Int = 0) async throws -> [UInt8] {
        var result: [UInt8] = []
        var offset = range.lowerBound
        while offset < range.upperBound {
            let slice = IOSlice(buffer: buffer, offset: shift, count: min(1 << 20, range.upperBound - offset))
            slice.bytes.initializeMemory(as: UInt8.self, repeating: 0x77)
            let count = try await volume.read(inode, at: UInt64(offset), into: slice)
            guard count > 0 else { break }
            result += slice.bytes[..<count]
            offset += count
        }
        return result
    }

    /// First byte that differs, for messages; nil if all is as it must be.
    func firstDifference() async throws -> String? {
        guard inode.attributes.size == UInt64(model.count) else {
            return "size \(inode.attributes.size), expected \(model.count)"
        }
        let found = try await read(0..<model.count)
        guard found != model else { return nil }
        guard found.count == model.count else { return "read \(found.count) of \(model.count)" }
        let index = zip(found, model).enumerated().first { $0.element.0 != $0.element.1 }!.offset
        return "byte \(index) of \(model.count) is \(found[index]), expected \(model[index])"
    }
}

extension VolumeImage {
    /// Fills the free space with bytes that must never be seen again, and frees it.
    func soil(mebibytes: Int) throws {
        try mounted { volume in
            let root = try await volume.rootDirectory()
            let inode = try await volume.createFile(.of("soil"), in: root, newFile)
            let file = FileUnderTest(volume, inode)
            let stain = [UInt8](repeating: 0xEE, count: 1 << 20)
            for index in 0..<mebibytes {
                try await file.write(stain, at: index << 20)
                file.model = []
            }
            try await volume.syncFile(inode, dataOnly: false)
            try await volume.unlink(.of("soil"), in: root)
            inode.release()
            root.release()
        }
    }
}

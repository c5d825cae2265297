import EngineKit
import FileSystem
import OCFS2Layout

// Operations on the contents of files.
extension Workload {
    private func pickFile() -> Int? { pick(model.regularFiles) }

    /// Runs `body` on an open file; nil after an error of the device.
    private func withOpen<Result>(
        _ node: Int, _ mode: OpenMode, _ body: (Inode) async throws(FileSystemError) -> Result
    ) async throws(SimulationFailure) -> Result? {
        try await done { [self] () throws(FileSystemError) in
            let inode = try await inode(of: node)
            try await volume.openFile(inode, mode, caller: .system)
            let result: Result
            do throws(FileSystemError) {
                result = try await body(inode)
            } catch {
                await volume.closeFile(inode, mode)
                throw error
            }
            await volume.closeFile(inode, mode)
            return result
        }
    }

    private func byteCount() -> Int {
        let most: [UInt64] = [200, 200, 200, 200, 5000, 5000, 5000, 40000, 40000, 200_000]
        return 1 + Int(random.next(below: most[Int(random.next(below: 10))]))
    }

    private func offset(in size: Int) -> Int {
        switch random.next(below: 10) {
        case 0..<5: Int(random.next(below: UInt64(size + 1)))
        case 5..<7: size
        case 7..<9: Int(random.next(below: UInt64(size + 20000)))
        default: Int(random.next(below: 600_000))
        }
    }

    func write() async throws(SimulationFailure) {
        guard let node = pickFile() else { return }
        let size = model.nodes[node]!.content.count
        let mode = random.next(below: 10)
        var offset = offset(in: size), count = byteCount()
        var writeMode = WriteMode()
        if mode == 0 {
            writeMode.isDirect = true
            offset -= offset % 4096
            count = (count + 4095) / 4096 * 4096
        } else if mode == 1 {
            writeMode.appends = true
            offset = size
        } else if mode == 2 {
            writeMode.isSynchronous = true
        }
        operation = "write \(node) at \(offset), \(count) bytes, size \(size), mode \(mode)"
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { [random] buffer, initialized in
            for index in 0..<count { buffer[index] = UInt8(truncatingIfNeeded: random.next()) }
            initialized = count
        }
        let slice = IOSlice(buffer: IOBuffer(byteCount: count), offset: 0, count: count)
        slice.bytes.copyBytes(from: bytes)
        model.nodes[node]!.content.write(bytes, at: offset)
        guard
            let written = try await withOpen(
                node, OpenMode(writes: true, appends: writeMode.appends),
                { [self] inode throws(FileSystemError) in
                    try await volume.write(inode, at: UInt64(offset), slice, writeMode)
                })
        else { return }
        guard written.byteCount == count, written.byteOffset == UInt64(offset) else {
            throw SimulationFailure("wrote \(written.byteCount) at \(written.byteOffset)")
        }
        if writeMode.isSynchronous { syncedNodes.append(node) }
    }

    func truncate() async throws(SimulationFailure) {
        guard let node = pickFile() else { return }
        let size = model.nodes[node]!.content.count
        let isCut = random.next(below: 3) != 0 || model.byteCount > byteCountMax
        let newSize = isCut ? Int(random.next(below: UInt64(size + 1))) : offset(in: size)
        operation = "truncate \(node) from \(size) to \(newSize)"
        model.nodes[node]!.content.truncate(to: newSize)
        let _: Void? = try await withOpen(node, OpenMode(writes: true)) { [self] inode throws(FileSystemError) in
            try await volume.setSize(of: inode, to: UInt64(newSize))
        }
    }

    func allocate() async throws(SimulationFailure) {
        guard let node = pickFile() else { return }
        let size = model.nodes[node]!.content.count
        let first = offset(in: size), count = byteCount()
        let keepsSize = random.next(below: 2) == 0
        let before = model.nodes[node]!.content
        operation = "allocate \(node) \(first)+\(count)\(keepsSize ? ", size kept" : ""), size \(size)"
        if !keepsSize, first + count > size { model.nodes[node]!.content.truncate(to: first + count) }
        try await allocate(node, first..<first + count, .allocate(keepsSize: keepsSize), before: before)
    }

    func punch() async throws(SimulationFailure) {
        guard let node = pickFile() else { return }
        let size = model.nodes[node]!.content.count
        let first = Int(random.next(below: UInt64(size + 1))), count = byteCount()
        operation = "punch \(node) \(first)+\(count), size \(size)"
        let before = model.nodes[node]!.content
        model.nodes[node]!.content.zero(first..<first + count)
        try await allocate(node, first..<first + count, .punchHole, before: before)
    }

    /// A volume without unwritten extents refuses all of it; then the file is as it was `before`.
    private func allocate(
        _ node: Int, _ range: Range<Int>, _ mode: MountedVolume.AllocationMode, before: FileContent
    ) async throws(SimulationFailure) {
        let _: Void? = try await withOpen(node, OpenMode(writes: true)) { [self] inode throws(FileSystemError) in
            do throws(FileSystemError) {
                try await volume.allocate(inode, UInt64(range.lowerBound)..<UInt64(range.upperBound), mode)
            } catch {
                guard error == .notSupported else { throw error }
                model.nodes[node]!.content = before
            }
        }
    }

    func read() async throws(SimulationFailure) {
        guard let node = pickFile() else { return }
        let size = model.nodes[node]!.content.count
        let isWhole = random.next(below: 2) == 0
        let first = isWhole ? 0 : offset(in: size), count = isWhole ? size + 10 : byteCount()
        operation = "read \(node) \(first)+\(count), size \(size)"
        let slice = IOSlice(buffer: IOBuffer(byteCount: count), offset: 0, count: count)
        guard
            let found = try await withOpen(
                node, OpenMode(),
                { [self] inode throws(FileSystemError) in
                    let found = try await volume.read(inode, at: UInt64(first), into: slice)
                    let attributes = try await volume.attributes(of: inode)
                    return (count: found, size: attributes.size)
                })
        else { return }
        let expected = model.nodes[node]!.content.bytes[min(first, size)..<min(first + count, size)]
        guard found.size == UInt64(size), found.count == expected.count else {
            throw SimulationFailure("read \(found.count) bytes of a file of \(found.size), there are \(expected.count)")
        }
        if let bad = zip(slice.bytes, expected).enumerated().first(where: { $1.0 != $1.1 }) {
            throw SimulationFailure("byte \(first + bad.offset) is \(bad.element.0) instead of \(bad.element.1)")
        }
    }

    func copyRange() async throws(SimulationFailure) {
        guard let source = pickFile(), let target = pickFile(), source != target else { return }
        let size = model.nodes[source]!.content.count
        let first = Int(random.next(below: UInt64(size + 1))), count = byteCount()
        let place = offset(in: model.nodes[target]!.content.count)
        operation = "copy \(source) \(first)+\(count) to \(target) at \(place)"
        let bytes = Array(model.nodes[source]!.content.bytes[first..<min(size, first + count)])
        model.nodes[target]!.content.write(bytes, at: place)
        guard let from = try await done({ [self] () throws(FileSystemError) in try await inode(of: source) }) else {
            return
        }
        guard
            let copied = try await withOpen(
                target, OpenMode(writes: true),
                { [self] inode throws(FileSystemError) in
                    try await volume.copyRange(
                        of: from, at: UInt64(first), to: inode, at: UInt64(place), byteCount: UInt64(count))
                })
        else { return }
        guard copied <= UInt64(bytes.count) else { throw SimulationFailure("copied \(copied) of \(bytes.count)") }
        // A full volume takes a part only.
        model.nodes[target]!.content = before.nodes[target]!.content
        model.nodes[target]!.content.write(Array(bytes[..<Int(copied)]), at: place)
    }

    /// What is called data covers all bytes that are not zero.
    func seek() async throws(SimulationFailure) {
        guard let node = pickFile() else { return }
        let bytes = model.nodes[node]!.content.bytes
        let first = Int(random.next(below: UInt64(bytes.count + 10)))
        operation = "seek \(node) from \(first), size \(bytes.count)"
        var found: UInt64?
        let isDone: Void? = try await withOpen(node, OpenMode()) { [self] inode throws(FileSystemError) in
            do throws(FileSystemError) {
                found = try await volume.seek(inode, from: UInt64(first), to: .data)
            } catch {
                guard error == .noSuchRange else { throw error }
            }
        }
        guard isDone != nil else { return }
        let end = found.map { Int($0) } ?? bytes.count
        guard first <= end || first >= bytes.count, end <= bytes.count else {
            throw SimulationFailure("finds data at \(end)")
        }
        if first < end, let data = bytes[first..<end].firstIndex(where: { $0 != 0 }) {
            throw SimulationFailure("finds data at \(end), but there is some at \(data)")
        }
    }

    // MARK: Opening, syncing

    func openOrClose() async throws(SimulationFailure) {
        if handles.count > 6 || (!handles.isEmpty && random.next(below: 2) == 0) {
            let handle = handles.remove(at: Int(random.next(below: UInt64(handles.count))))
            host = handle.host
            operation = "close \(handle.node)"
            await volume.closeFile(inodes[handle.node]!, handle.mode)
            model.close(handle.node)
            return
        }
        guard let node = pickFile() else { return }
        operation = "open \(node)"
        let mode = OpenMode(writes: true)
        let isOpen: Void? = try await done { [self] () throws(FileSystemError) in
            try await volume.openFile(inode(of: node), mode, caller: .system)
        }
        guard isOpen != nil else { return }
        handles.append((host, node, mode))
        model.nodes[node]!.openCount += 1
    }

    func sync() async throws(SimulationFailure) {
        let isDirectory = random.next(below: 6) == 0
        guard let node = isDirectory ? pick(model.directories) : pickFile() else { return }
        let dataOnly = !isDirectory && random.next(below: 3) == 0
        operation = "\(dataOnly ? "fdatasync" : "fsync") \(node)"
        let isDone: Void? = try await done { [self] () throws(FileSystemError) in
            try await volume.syncFile(inode(of: node), dataOnly: dataOnly)
        }
        guard isDone != nil else { return }
        if !isDirectory { syncedNodes.append(node) }
        if !dataOnly { durableStep = max(durableStep, model.nodes[node]!.lastChange) }
    }

    func syncVolume() async throws(SimulationFailure) {
        operation = "sync"
        let isDone: Void? = try await done { [self] () throws(FileSystemError) in
            await volume.flushAllData()
            try await volume.commit()
        }
        if isDone != nil { durableStep = model.step }
    }
}

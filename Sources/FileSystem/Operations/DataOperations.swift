package import EngineKit
internal import Journal
internal import OCFS2Layout

/// How a file is opened.
package struct OpenMode: Equatable, Sendable {
    package var reads: Bool
    package var writes: Bool
    package var appends: Bool
    /// `O_TRUNC`
    package var truncates: Bool

    package init(reads: Bool = true, writes: Bool = false, appends: Bool = false, truncates: Bool = false) {
        self.reads = reads
        self.writes = writes
        self.appends = appends
        self.truncates = truncates
    }
}

/// How a write is to be done.
package struct WriteMode: Equatable, Sendable {
    /// `O_APPEND`: at the true end, whatever the offset says.
    package var appends = false
    /// `O_SYNC`, `O_DSYNC`: on stable storage when it returns.
    package var isSynchronous = false
    /// `O_DIRECT`: past the write-back cache.
    package var isDirect = false
    /// From the kernel's page cache (mmap): never extends the file.
    package var isWriteBack = false
    /// Take away set-user-ID and set-group-ID.
    package var dropsPrivilegeBits = false

    package init() {}
}

/// Contents of files. Every file that is read or written is open.
extension MountedVolume {
    /// Counts the handle. Errors: `notPermitted` for writing what is immutable, or append-only without `appends`.
    package func openFile(_ inode: Inode, _ mode: OpenMode, caller: Caller) async throws(FileSystemError) {
        if mode.writes {
            try requireWritable()
            let flags = inode.attributes.attributeFlags
            if flags.contains(.immutable) { throw .notPermitted }
            if flags.contains(.appendOnly), !mode.appends || mode.truncates { throw .notPermitted }
        }
        // From here on another host that unlinks the file leaves it to us.
        inode.openCount += 1
        do throws(FileSystemError) {
            try await inode.attach()
        } catch {
            inode.openCount -= 1
            throw error
        }
        guard mode.truncates, inode.isRegular else { return }
        do throws(FileSystemError) {
            try await setSize(of: inode, to: 0)
        } catch {
            inode.openCount -= 1
            throw error
        }
    }

    /// The handle's end. What was written stays even when no name leads to the file: one who still refers to it can open
    /// it again or give it a name. The wipe drops it.
    package func closeFile(_ inode: Inode, _ mode: OpenMode) async {
        precondition(inode.openCount > 0, "inode \(inode.number) is closed more often than opened")
        inode.openCount -= 1
        if inode.openCount == 0 { closedLast(inode) }
    }

    /// truncate(2), both ways. Sets the times; takes all locks of the file.
    package func setSize(of inode: Inode, to byteCount: UInt64) async throws(FileSystemError) {
        try requireRegular(inode)
        try await lockedForWriting(inode) { () async throws(FileSystemError) in
            try await retryingForSpace { () async throws(FileSystemError) in
                try await inode.fileData.truncate(to: byteCount)
            }
        }
        try await syncFileIfAsked(inode, dataOnly: false)
    }

    /// Fills `target` from `byteOffset` on; fewer bytes than asked only at the end of the file.
    ///
    /// - Parameter mayBecomeDirty: what is read may be changed in the reader's memory without a word: no other host may
    ///   have it then.
    package func read(
        _ inode: Inode, at byteOffset: UInt64, into target: IOSlice, isDirect: Bool = false,
        mayBecomeDirty: Bool = false
    ) async throws(FileSystemError) -> Int {
        try requireRegular(inode)
        let level: LockLevel = mayBecomeDirty ? .exclusive : .protectedRead
        try await inode.metaLock.acquire(level)
        let count: Int
        do throws(FileSystemError) {
            try inode.requirePresent()
            count = try await inode.fileData.read(at: byteOffset, into: target)
        } catch {
            inode.metaLock.release(level)
            throw error
        }
        inode.metaLock.release(level)
        if accessTimeIsDue(inode) { await noteAccess(inode) }
        return count
    }

    /// Answers how much was written and where it begins.
    package func write(
        _ inode: Inode, at byteOffset: UInt64, _ source: IOSlice, _ mode: WriteMode
    ) async throws(FileSystemError) -> (byteCount: Int, byteOffset: UInt64) {
        try requireRegular(inode)
        if mode.isWriteBack { return try await writeBack(inode, at: byteOffset, source) }
        if mode.isDirect, !mode.appends, !mode.dropsPrivilegeBits,
            try await overwriteDirectly(inode, at: byteOffset, source)
        {
            if mode.isSynchronous || isSynchronous(inode) { try await inode.fileData.synchronize(dataOnly: true) }
            return (source.count, byteOffset)
        }
        let offset = try await lockedForWriting(inode) { () async throws(FileSystemError) -> UInt64 in
            let data = inode.fileData
            let offset = mode.appends ? inode.attributes.size : byteOffset
            if mode.dropsPrivilegeBits {
                inode.attributes.mode = FileMode.withoutPrivileges(inode.attributes.mode)
                try await removeCapabilities(of: inode)
            }
            try await retryingForSpace { () async throws(FileSystemError) in try await data.write(source, at: offset) }
            if mode.isDirect { try await data.flush(dataOnly: true) }
            return offset
        }
        if mode.isSynchronous || isSynchronous(inode) {
            try await inode.fileData.synchronize(dataOnly: true)
        }
        return (source.count, offset)
    }

    /// Dirty pages of the kernel's, from shared mappings: never beyond the end of the file.
    ///
    /// They come also while the metadata lock is about to be lowered, which waits for them: so they do not wait for those
    /// who wait for the lock and hold the gate. The kernel itself keeps them apart from truncations and from other writes
    /// of the same pages. Spec: fuse 21, 22.
    private func writeBack(
        _ inode: Inode, at offset: UInt64, _ source: IOSlice
    ) async throws(FileSystemError) -> (byteCount: Int, byteOffset: UInt64) {
        try await inode.metaLock.acquireBeforeLowering(.exclusive)
        defer { inode.metaLock.release(.exclusive) }
        try inode.requirePresent()
        let size = inode.attributes.size
        if offset < size {
            let count = Int(min(UInt64(source.count), size - offset))
            try await retryingForSpace { () async throws(FileSystemError) in
                try await inode.fileData.write(source.part(offset: 0, count: count), at: offset)
            }
        }
        return (source.count, offset)
    }

    private func overwriteDirectly(
        _ inode: Inode, at byteOffset: UInt64, _ source: IOSlice
    ) async throws(FileSystemError) -> Bool {
        await inode.gate.lock(.shared)
        defer { inode.gate.unlock(.shared) }
        try requireWritable()
        return try await inode.readWriteLock.with(.exclusive) { () async throws(FileSystemError) in
            try await inode.metaLock.with(.exclusive) { () async throws(FileSystemError) in
                try await inode.fileData.writeDirectly(source, at: byteOffset)
            }
        }
    }

    /// close(2) of one descriptor: reports errors of earlier writes that nobody was told.
    package func flushFile(_ inode: Inode) async throws(FileSystemError) {
        guard let data = inode.data, let failure = data.failure else { return }
        data.failure = nil
        throw failure
    }

    /// fsync(2), fdatasync(2), for directories too.
    package func syncFile(_ inode: Inode, dataOnly: Bool) async throws(FileSystemError) {
        guard let data = inode.data else { return try await commit(inode.block.transaction) }
        try await data.synchronize(dataOnly: dataOnly)
    }

    /// fallocate(2).
    package enum AllocationMode: Equatable, Sendable {
        case allocate(keepsSize: Bool)
        case punchHole
        case zero(keepsSize: Bool)
    }

    package func allocate(
        _ inode: Inode, _ range: Range<UInt64>, _ mode: AllocationMode
    ) async throws(FileSystemError) {
        try requireRegular(inode)
        guard !range.isEmpty else { throw .invalidArgument }
        guard inode.attributes.attributeFlags.isDisjoint(with: [.immutable, .appendOnly]) else { throw .notPermitted }
        try await lockedForWriting(inode) { () async throws(FileSystemError) in
            try await retryingForSpace { () async throws(FileSystemError) in
                switch mode {
                case .allocate(let keepsSize): try await inode.fileData.allocate(range, keepsSize: keepsSize)
                case .punchHole: try await inode.fileData.punchHole(range)
                // As the kernel's OCFS2: there is no such mode.
                case .zero: throw .notSupported
                }
            }
        }
        try await syncFileIfAsked(inode, dataOnly: false)
    }

    package enum SeekTarget: Equatable, Sendable {
        case data, hole
    }

    /// lseek(2) with `SEEK_DATA`, `SEEK_HOLE`. Errors: `noSuchRange`.
    package func seek(
        _ inode: Inode, from byteOffset: UInt64, to target: SeekTarget
    ) async throws(FileSystemError) -> UInt64 {
        try requireRegular(inode)
        return try await inode.metaLock.with(.exclusive) { () async throws(FileSystemError) in
            try await inode.fileData.seek(from: byteOffset, toData: target == .data)
        }
    }

    /// copy_file_range(2). Answers how many bytes were copied.
    package func copyRange(
        of source: Inode, at sourceOffset: UInt64, to target: Inode, at targetOffset: UInt64, byteCount: UInt64
    ) async throws(FileSystemError) -> UInt64 {
        let step = 1 << 20
        let buffer = writeBack.pool.take(byteCount: step)
        var done: UInt64 = 0
        while done < byteCount, done < 64 << 20 {
            let count = Int(min(UInt64(step), byteCount - done))
            let slice = IOSlice(buffer: buffer, offset: 0, count: count)
            let read = try await read(source, at: sourceOffset + done, into: slice)
            guard read > 0 else { break }
            do throws(FileSystemError) {
                _ = try await write(
                    target, at: targetOffset + done, slice.part(offset: 0, count: read), WriteMode())
            } catch {
                guard done > 0 else { throw error }
                return done
            }
            done += UInt64(read)
            await environment.yield()
        }
        return done
    }
}

extension MountedVolume {
    private func requireRegular(_ inode: Inode) throws(FileSystemError) {
        if inode.isDirectory { throw .isADirectory }
        guard inode.isRegular else { throw .invalidArgument }
    }

    /// Runs `body` with the gate, W and M, exclusively. Spec: ocfs2-cluster 7
    func lockedForWriting<Result>(
        _ inode: Inode, _ body: () async throws(FileSystemError) -> Result
    ) async throws(FileSystemError) -> Result {
        await inode.gate.lock(.exclusive)
        defer { inode.gate.unlock(.exclusive) }
        try await inode.readWriteLock.acquire(.exclusive)
        defer { inode.readWriteLock.release(.exclusive) }
        try await inode.metaLock.acquire(.exclusive)
        defer { inode.metaLock.release(.exclusive) }
        try inode.requirePresent()
        return try await body()
    }
}

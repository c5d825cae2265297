package import EngineKit

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
        throw .notSupported
    }

    /// The handle's end; a file without names goes with its last one.
    package func closeFile(_ inode: Inode, _ mode: OpenMode) async {
    }

    /// Fills `target` from `byteOffset` on; fewer bytes than asked only at the end of the file.
    package func read(
        _ inode: Inode, at byteOffset: UInt64, into target: IOSlice, isDirect: Bool = false
    ) async throws(FileSystemError) -> Int {
        throw .notSupported
    }

    /// Answers how much was written and where it begins.
    package func write(
        _ inode: Inode, at byteOffset: UInt64, _ source: IOSlice, _ mode: WriteMode
    ) async throws(FileSystemError) -> (byteCount: Int, byteOffset: UInt64) {
        throw .notSupported
    }

    /// truncate(2), both ways. Sets the times.
    package func setSize(of inode: Inode, to byteCount: UInt64) async throws(FileSystemError) {
        throw .notSupported
    }

    /// close(2) of one descriptor: reports errors of earlier writes that nobody was told.
    package func flushFile(_ inode: Inode) async throws(FileSystemError) {
        throw .notSupported
    }

    /// fsync(2), fdatasync(2), for directories too.
    package func syncFile(_ inode: Inode, dataOnly: Bool) async throws(FileSystemError) {
        throw .notSupported
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
        throw .notSupported
    }

    package enum SeekTarget: Equatable, Sendable {
        case data, hole
    }

    /// lseek(2) with `SEEK_DATA`, `SEEK_HOLE`. Errors: `noSuchRange`.
    package func seek(
        _ inode: Inode, from byteOffset: UInt64, to target: SeekTarget
    ) async throws(FileSystemError) -> UInt64 {
        throw .notSupported
    }

    /// copy_file_range(2). Answers how many bytes were copied.
    package func copyRange(
        of source: Inode, at sourceOffset: UInt64, to target: Inode, at targetOffset: UInt64, byteCount: UInt64
    ) async throws(FileSystemError) -> UInt64 {
        throw .notSupported
    }
}

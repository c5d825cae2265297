internal import EngineKit

/// The files of a mount that have something to write back: when it is time, and when there is too much.
final class WriteBack {
    /// Dirty memory of one file at which its flush is started.
    static let fileByteCountMax = 16 << 20
    /// Of all files together: half of it starts their flush, all of it has a writer wait.
    static let byteCountMax = 256 << 20

    let pool = IOBufferPool(bytesKeptMax: 64 << 20)
    /// 256 KiB of zeroes, to be written only.
    let zeroes: IOSlice = {
        let slice = IOSlice(buffer: IOBuffer(byteCount: 256 << 10), offset: 0, count: 256 << 10)
        slice.clear()
        return slice
    }()
    /// Memory of all dirty chunks.
    private(set) var byteCount = 0
    /// Files with something to write, the oldest first.
    private var files: [Inode] = []
    private var timerIsSet = false
    fileprivate var isFlushingAll = false
    /// Small files keep the device busy only together.
    fileprivate static let flushesAtATime = 16
    /// Flushes that hold what their files were promised, and the end of any of them.
    private var flushesRunning = 0
    private let flushEnded = AsyncSignal()

    init() {}

    func memoryChanged(by difference: Int) {
        byteCount += difference
    }

    func flushBegan() { flushesRunning += 1 }

    func flushDidEnd() {
        flushesRunning -= 1
        flushEnded.notify()
    }

    /// Returns when as many flushes have ended as are under way now.
    fileprivate func waitForFlushes() async {
        for _ in 0..<flushesRunning where flushesRunning > 0 { await flushEnded.wait() }
    }

    fileprivate func add(_ inode: Inode) {
        files.append(inode)
    }

    fileprivate func takeFiles(dirtySince limit: Instant?) -> [Inode] {
        var taken: [Inode] = []
        var kept: [Inode] = []
        for inode in files {
            guard let data = inode.data, data.needsFlush, !inode.isGone else {
                inode.data?.isListed = false
                continue
            }
            if let limit, data.dirtySince > limit { kept.append(inode) } else { taken.append(inode) }
        }
        for inode in taken { inode.data?.isListed = false }
        files = kept
        return taken
    }

    fileprivate var isEmpty: Bool { files.isEmpty }

    fileprivate func setTimer() -> Bool {
        guard !timerIsSet, !files.isEmpty else { return false }
        timerIsSet = true
        return true
    }

    fileprivate func timerEnded() { timerIsSet = false }
}

extension MountedVolume {
    /// A file has something to write that it had not before.
    func fileBecameDirty(_ inode: Inode) {
        guard let data = inode.data, !data.isListed else { return }
        data.isListed = true
        data.dirtySince = environment.now
        writeBack.add(inode)
        setWriteBackTimer()
    }

    private func setWriteBackTimer() {
        guard !tasks.isClosing, writeBack.setTimer() else { return }
        let interval = Duration.seconds(max(1, options.commitSeconds))
        environment.call(at: environment.now + interval) { [weak self] in
            guard let self else { return }
            writeBack.timerEnded()
            guard !tasks.isClosing else { return }
            tasks.start(environment) { [self] in
                await writeBackFiles(dirtySince: environment.now)
                setWriteBackTimer()
            }
        }
    }

    /// Flushes the files that are dirty since `limit` or earlier, several at a time; nil: all. Errors stay with the files.
    func writeBackFiles(dirtySince limit: Instant? = nil) async {
        let files = writeBack.takeFiles(dirtySince: limit)
        for inode in files { inode.retain() }
        let round = WriteBackRound(files)
        let others = min(WriteBack.flushesAtATime, files.count) - 1
        guard others >= 0 else { return }
        for _ in 0..<others {
            round.running += 1
            environment.spawn { [self] in
                await flushFiles(of: round)
                round.running -= 1
                round.ended.notify()
            }
        }
        await flushFiles(of: round)
        while round.running > 0 { await round.ended.wait() }
    }

    private func flushFiles(of round: WriteBackRound) async {
        while let inode = round.next() {
            // An unlinked file that nobody has open is about to be wiped.
            if !inode.isGone, inode.attributes.linkCount > 0 || inode.openCount > 0 {
                await inode.fileData.flushInBackground()
            }
            inode.release()
        }
    }

    /// Begins to flush all files, unless that is under way.
    func startWriteBack() {
        guard !writeBack.isFlushingAll, !tasks.isClosing else { return }
        writeBack.isFlushingAll = true
        tasks.start(environment) { [self] in
            await writeBackFiles()
            writeBack.isFlushingAll = false
        }
    }

    /// Runs `body`. If it finds no space, flushes all files, so that what they were promised and do not need comes back,
    /// and runs it once more.
    ///
    /// `noSpace` strikes before anything is changed, or what was changed is of use to the second try. The caller holds no
    /// ``FileData/changeLock``; locks of inodes and directories do not matter to a flush.
    func retryingForSpace<Result>(
        _ body: () async throws(FileSystemError) -> Result
    ) async throws(FileSystemError) -> Result {
        do throws(FileSystemError) {
            return try await body()
        } catch .noSpace {
            guard try usedSpace().hasPromises else { throw .noSpace }
            await writeBackFiles()
            await writeBack.waitForFlushes()
            return try await body()
        }
    }

    /// Writes all data of files to disk. Not the journal.
    package func flushAllData() async {
        await writeBackFiles()
    }
}

/// The files that one call writes back.
private final class WriteBackRound {
    private let files: [Inode]
    private var index = 0
    var running = 0
    let ended = AsyncSignal()

    init(_ files: [Inode]) {
        self.files = files
    }

    func next() -> Inode? {
        guard index < files.count else { return nil }
        index += 1
        return files[index - 1]
    }
}

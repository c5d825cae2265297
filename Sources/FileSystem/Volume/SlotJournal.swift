internal import EngineKit
internal import Journal
internal import LayoutKit
internal import OCFS2Layout

/// The journal file of one slot and the flags in its dinode, which are written directly. Spec: ocfs2-disk 14.1, 14.6.
struct SlotJournal {
    let slot: Int
    let inode: Inode
    private let volume: MountedVolume

    init(_ volume: MountedVolume, slot: Int) async throws(FileSystemError) {
        self.volume = volume
        self.slot = slot
        inode = try await volume.systemInode(.journal, slot: slot)
    }

    /// A host runs on this slot, or crashed there.
    var isDirty: Bool { inode.block.bytes[Dinode.Field.journalFlags] & Dinode.journalDirty != 0 }
    var recoveryGeneration: UInt32 { inode.block.bytes[Dinode.Field.recoveryGeneration] }

    /// The file's extents.
    func runs() async throws(FileSystemError) -> [Journal.Run] {
        var next: UInt64 = 0
        var runs: [Journal.Run] = []
        for record in try await DataRuns.records(of: inode) {
            let blocks = volume.geometry.blocks(inClusters: record.clusters)
            guard UInt64(record.cpos) == next, let count = UInt32(exactly: blocks) else {
                throw volume.report(
                    Corruption(
                        block: inode.number, inode: inode.number,
                        what: "the journal has a hole before cluster \(record.cpos)"))
            }
            runs.append(Journal.Run(block: record.block, blockCount: count))
            next = record.end
        }
        return runs
    }

    /// Brings what is in the log to its places. The flags stay.
    func replay() async throws(MountError) {
        do throws(FileSystemError) {
            let runs = try await runs()
            do throws(JournalError) {
                _ = try await Journal.replay(cache: volume.cache, runs: runs, environment: volume.environment)
            } catch {
                throw FileSystemError(error)
            }
        } catch {
            throw MountError(error)
        }
    }

    /// Writes the dinode's flags to disk.
    func set(dirty: Bool, countsRecovery: Bool = false) async throws(FileSystemError) {
        let bytes = inode.block.bytes
        let flags = bytes[Dinode.Field.journalFlags]
        bytes[Dinode.Field.journalFlags] = dirty ? flags | Dinode.journalDirty : flags & ~Dinode.journalDirty
        if countsRecovery { bytes[Dinode.Field.recoveryGeneration] &+= 1 }
        volume.sealer.seal(bytes, number: inode.number, kind: BlockKind.dinode.rawValue)
        do throws(BlockDeviceError) {
            try await volume.cache.writeThrough(inode.block)
        } catch {
            throw .device(error)
        }
    }
}

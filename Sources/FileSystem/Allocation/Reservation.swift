internal import EngineKit
package import Journal
internal import LayoutKit
internal import OCFS2Layout

/// Space that a transaction can count on: what was reserved is there to be claimed, without waiting and without ENOSPC.
///
/// Made before the handle is opened (``MountedVolume/reserve(_:)``), claimed from inside, released after the handle has
/// ended. Holds the cluster locks of the allocators until then.
package final class Reservation {
    /// Blocks of one allocator.
    fileprivate struct Source {
        let allocator: Suballocator
        var left: Int
    }

    private unowned let volume: MountedVolume
    fileprivate var inodes: Source?
    fileprivate var metadata: Source?
    fileprivate var runs: [ReservedRun] = []

    fileprivate init(_ volume: MountedVolume) {
        self.volume = volume
    }

    deinit {
        release()
    }

    /// Takes the block of a new inode, if possible in the group of its directory. More than was reserved traps.
    ///
    /// ``Credits/suballocation`` credits.
    package func claimInode(near parent: Inode?, _ handle: JournalHandle) async throws(FileSystemError) -> ClaimedBlock
    {
        guard let source = inodes, source.left > 0 else {
            preconditionFailure("an inode is claimed that was not reserved")
        }
        // Spec: ocfs2-disk 9.5 rule 5.
        let place = parent?.dinode.suballocation
        let isNear = place.map { Int($0.slot) == source.allocator.slot } ?? false
        let group = isNear ? parent.flatMap { place?.descriptorBlock(of: $0.number) } : nil
        let claimed = try await source.allocator.take(near: group, handle)
        inodes?.left -= 1
        return claimed
    }

    /// Takes a block for any other kind of metadata. ``Credits/suballocation`` credits.
    package func claimMetadataBlock(_ handle: JournalHandle) async throws(FileSystemError) -> ClaimedBlock {
        guard let source = metadata, source.left > 0 else {
            preconditionFailure("a metadata block is claimed that was not reserved")
        }
        let claimed = try await source.allocator.take(near: nil, handle)
        metadata?.left -= 1
        return claimed
    }

    /// Takes 1 to `atMost` clusters in one run. What they hold is undefined. ``Credits/clusterAllocation`` credits.
    package func claimClusters(atMost: Int, _ handle: JournalHandle) async throws(FileSystemError) -> ClusterRun {
        guard let run = runs.first, atMost > 0 else {
            preconditionFailure("clusters are claimed that were not reserved")
        }
        let taken = try await run.take(min(run.run.count, UInt32(clamping: atMost)), handle)
        if run.run.count == 0 { runs.removeFirst() }
        return taken
    }

    /// Gives back what was not claimed, and the locks.
    package func release() {
        for run in runs { run.cancel() }
        runs = []
        for source in [metadata, inodes].compactMap(\.self) {
            source.allocator.promised -= source.left
            source.allocator.hold.release()
        }
        metadata = nil
        inodes = nil
    }
}

/// Extent blocks that are promised but not reserved, for the flush of a cached write. Ends with the object.
final class ExtentBlockPromise {
    let count: Int
    private weak var allocator: Suballocator?

    /// Takes over what the source counts on, and gives up its hold.
    fileprivate init(_ source: Reservation.Source) {
        count = source.left
        allocator = source.allocator
        source.allocator.hold.release()
    }

    deinit {
        allocator?.promised -= count
    }
}

extension MountedVolume {
    /// Promises that `count` extent blocks can be reserved later. May add a group to the allocator.
    func promiseExtentBlocks(_ count: Int) async throws(FileSystemError) -> ExtentBlockPromise {
        ExtentBlockPromise(try await source(.extentAlloc, count))
    }

    /// Reserves space before a handle is opened; `noSpace` strikes here and nowhere later.
    ///
    /// Takes the allocators' cluster locks in lock order; may add a group to a suballocator, move the window, flush the
    /// truncate log.
    package func reserve(_ needs: SpaceNeeds) async throws(FileSystemError) -> Reservation {
        let reservation = Reservation(self)
        do throws(FileSystemError) {
            if needs.inodes > 0 { reservation.inodes = try await source(.inodeAlloc, needs.inodes) }
            if needs.metadataBlocks > 0 { reservation.metadata = try await source(.extentAlloc, needs.metadataBlocks) }
            var missing = needs.clusters
            var near = needs.nearCluster
            while missing > 0 {
                let run = try await reserveRun(atMost: missing, near: near)
                reservation.runs.append(run)
                missing -= Int(run.run.count)
                near = UInt32(exactly: run.run.end)
            }
        } catch {
            reservation.release()
            throw error
        }
        return reservation
    }

    /// Blocks of this slot's allocator, else of another slot's. Spec: ocfs2-disk 9.5 rule 6.
    private func source(_ kind: SystemInode, _ count: Int) async throws(FileSystemError) -> Reservation.Source {
        let space = try usedSpace()
        let own = try await space.suballocator(kind, slot: slot)
        do throws(FileSystemError) {
            return try await source(own, count, mayGrow: true)
        } catch .noSpace {
            let slots = Int(parameters.slotCount)
            for step in 1..<max(2, slots) {
                let other = try await space.suballocator(kind, slot: (slot + step) % slots)
                guard other !== own, other.available >= count else { continue }
                do throws(FileSystemError) {
                    return try await source(other, count, mayGrow: false)
                } catch .noSpace {
                    continue
                }
            }
            throw .noSpace
        }
    }

    private func source(
        _ allocator: Suballocator, _ count: Int, mayGrow: Bool
    ) async throws(FileSystemError) -> Reservation.Source {
        try await allocator.hold.acquire()
        do throws(FileSystemError) {
            while allocator.available < count {
                guard mayGrow else { throw FileSystemError.noSpace }
                try await grow(allocator, to: count)
            }
        } catch {
            allocator.hold.release()
            throw error
        }
        allocator.promised += count
        return Reservation.Source(allocator: allocator, left: count)
    }
}

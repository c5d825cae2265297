internal import DRBDLayout
internal import EngineKit

// The superblock is written whole. Each change counts a generation up; who depends on a change waits until its
// generation is durable. Spec: drbd-disk-and-state 3, 4 rule 2.

/// Somebody who waits for a superblock.
struct DurabilityWait {
    let disk: Disk
    let generation: UInt64
    let body: (ReplicationEngine) -> Void
}

extension ReplicationEngine {
    /// Writes the superblock of `volume` if it is dirty; `body` runs when what it says now is durable, or when there is
    /// no disk (any more) that could say it: whoever goes on looks at the state.
    func syncMetadata(_ volume: Volume, _ body: @escaping (ReplicationEngine) -> Void) {
        guard let disk = volume.disk, !disk.isAbandoned, volume.state.disk != .diskless, disk.isDirty else {
            body(self)
            return
        }
        durabilityWaits.append(DurabilityWait(disk: disk, generation: disk.generation, body: body))
        startSuperblockWrite(volume, disk)
    }

    /// The same as a step: its lane goes on when the superblock is durable.
    func syncMetadata(
        _ volume: Volume, _ lane: SerialWork.Lane, then body: ((ReplicationEngine) -> Void)? = nil
    ) -> SerialWork.Outcome {
        let ticket = ticket(lane)
        syncMetadata(volume) { engine in
            body?(engine)
            engine.resume(ticket)
        }
        return .waits
    }

    private func startSuperblockWrite(_ volume: Volume, _ disk: Disk) {
        guard disk.writingGeneration == nil, disk.isDirty else { return }
        disk.writingGeneration = disk.generation
        let data = metadataBuffer(byteCount: MetadataSuperblock.byteCount)
        disk.encodedSuperblock().encode(into: data.bytes)
        submitMetadata(
            volume, disk, metadataWriteKind(disk), sector: disk.geometry.superblockSector, data: data
        ) { engine, errno in
            let generation = disk.writingGeneration ?? 0
            disk.writingGeneration = nil
            if errno != 0 {
                engine.metadataFailed(volume, "writing the superblock", errno: errno)
                return
            }
            disk.durableGeneration = max(disk.durableGeneration, generation)
            engine.releaseDurabilityWaits(disk)
            if engine.durabilityWaits.contains(where: { $0.disk === disk }) {
                engine.startSuperblockWrite(volume, disk)
            }
        }
    }

    /// Runs those whose generation is durable, in order; with `all` everybody, since the disk is gone.
    func releaseDurabilityWaits(_ disk: Disk, all: Bool = false) {
        guard !durabilityWaits.isEmpty else { return }
        let waits = durabilityWaits
        durabilityWaits = waits.filter { $0.disk !== disk || !(all || $0.generation <= disk.durableGeneration) }
        for wait in waits where wait.disk === disk && (all || wait.generation <= disk.durableGeneration) {
            wait.body(self)
        }
        changed()
    }

    /// Begins a new data generation; `body` runs when it is durable. Spec: drbd-disk-and-state 7.2.
    ///
    /// - Parameter keepsBitmap: the bitmap goes on counting from where it does, if it does.
    func makeNewGeneration(
        _ volume: Volume, keepsBitmap: Bool = true, _ body: @escaping (ReplicationEngine) -> Void
    ) {
        guard let disk = volume.usableDisk else {
            body(self)
            return
        }
        let before = disk.uuids.bitmap
        let isPrimary = volume.state.role == .primary
        if keepsBitmap && before != 0 {
            disk.uuids.beginGenerationKeepingBitmap(random: random.next(), isPrimary: isPrimary)
        } else if !disk.uuids.beginGeneration(random: random.next(), isPrimary: isPrimary) {
            log(.warning, volume, "bm UUID was already set: \(before)")
        }
        volume.exposedUUID = disk.uuids.current
        disk.touch()
        logGenerations("new current UUID", volume, disk)
        syncMetadata(volume, body)
    }

    func makeNewGeneration(
        _ volume: Volume, _ lane: SerialWork.Lane, then body: @escaping (ReplicationEngine) -> Void
    ) -> SerialWork.Outcome {
        let ticket = ticket(lane)
        makeNewGeneration(volume) { engine in
            body(engine)
            engine.resume(ticket)
        }
        return .waits
    }

    /// `new current UUID A:B:C:D`, in the words of the kernel.
    func logGenerations(_ what: String, _ volume: Volume, _ disk: Disk) {
        log(.info, volume, "\(what) \(disk.uuids)")
    }
}

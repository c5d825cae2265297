internal import DRBDLayout
internal import EngineKit

// Operations on the backing devices: how they are numbered, submitted and found again.
//
//     operation identifier:  owner (8 bits)  cookie of the owner's table (56 bits)

/// Whose table an operation's cookie belongs to.
enum OperationOwner: UInt8 {
    case request = 1
    case peerRequest = 2
    case metadata = 3
}

/// An operation on metadata: what to do when it is done. Closures are fine here, these are rare.
struct MetadataOperation {
    /// Nil: the superblock of an attach, before there is a disk.
    let disk: Disk?
    let completion: (ReplicationEngine, Int32) -> Void
}

extension ReplicationEngine {
    func operationID(_ owner: OperationOwner, cookie: UInt64) -> OperationID {
        OperationID(UInt64(owner.rawValue) << 56 | cookie)
    }

    func diskCompleted(_ operation: OperationID, errno: Int32) {
        let cookie = operation.rawValue & 0xff_ffff_ffff_ffff
        switch OperationOwner(rawValue: UInt8(truncatingIfNeeded: operation.rawValue >> 56)) {
        case .request:
            // One that a detach by force gave up may still wait for the peer.
            if let index = requests.index(of: cookie), requests[index].flags.contains(.localPending) {
                localCompleted(index, errno: errno)
            }
        case .peerRequest:
            if let index = peerRequests.index(of: cookie) { peerRequestCompleted(index, errno: errno) }
        case .metadata:
            if let index = metadataOperations.index(of: cookie) { metadataCompleted(index, errno: errno) }
        case nil:
            preconditionFailure("completion of operation \(operation.rawValue), which nobody submitted")
        }
        changed()
    }

    /// Submits an operation of a request or a peer's request on the data device.
    func submitData(
        _ owner: OperationOwner, cookie: UInt64, _ volume: Volume, _ disk: Disk, _ kind: DiskOperation.Kind,
        sector: UInt64, byteCount: Int, data: IOSlice?
    ) {
        disk.operationsPending += 1
        volume.counters.localPending += 1
        actions.append(
            .submit(
                DiskOperation(
                    id: operationID(owner, cookie: cookie),
                    device: BackingDeviceID(volume: volume.number, part: .data), kind: kind, offset: sector * 512,
                    byteCount: byteCount, data: data)))
    }

    /// The operation of a request ended: the disk may be let go.
    func dataOperationEnded(_ volume: Volume, isWrite: Bool) {
        volume.counters.localPending -= 1
        guard let disk = volume.disk else { return }
        disk.operationsPending -= 1
        if isWrite { disk.completedWrites += 1 }
    }

    /// Makes durable what was completed on the data device until now; `body` gets the error number.
    func flushData(_ volume: Volume, _ disk: Disk, _ body: @escaping (ReplicationEngine, Int32) -> Void) {
        let covered = disk.completedWrites
        submitMetadata(volume, disk, .flush, part: .data) { engine, errno in
            if errno == 0 {
                disk.flushedWrites = max(disk.flushedWrites, covered)
            } else {
                engine.dataFailed(volume, .flush, sector: 0, byteCount: 0)
            }
            body(engine, errno)
        }
    }

    /// Submits an operation on metadata, or a flush of the data device.
    func submitMetadata(
        _ volume: Volume, _ disk: Disk, _ kind: DiskOperation.Kind, part: BackingDeviceID.Part = .metadata,
        sector: UInt64 = 0, data: IOSlice? = nil,
        _ completion: @escaping (ReplicationEngine, Int32) -> Void
    ) {
        disk.operationsPending += 1
        let index = metadataOperations.insert(MetadataOperation(disk: disk, completion: completion))
        actions.append(
            .submit(
                DiskOperation(
                    id: operationID(.metadata, cookie: metadataOperations.cookie(of: index)),
                    device: BackingDeviceID(volume: volume.number, part: part), kind: kind, offset: sector * 512,
                    byteCount: data?.count ?? 0, data: data)))
    }

    private func metadataCompleted(_ index: Int, errno: Int32) {
        let operation = metadataOperations[index]
        metadataOperations.remove(index)
        operation.disk?.operationsPending -= 1
        guard operation.disk?.isAbandoned != true else { return }
        operation.completion(self, errno)
    }

    /// How metadata is written: durable when the operation completes, after everything before it.
    /// Spec: drbd-disk-and-state 1.
    func metadataWriteKind(_ disk: Disk) -> DiskOperation.Kind {
        let isDurable = disk.options.metadataFlushes
        return .write(flushBefore: isDurable, forceUnitAccess: isDurable)
    }

    /// A block of memory for metadata.
    func metadataBuffer(byteCount: Int) -> IOSlice {
        IOSlice(buffer: buffers.take(byteCount: byteCount), offset: 0, count: byteCount)
    }
}

extension ReplicationEngine {
    /// Submits an operation while the volume has no disk yet (attach).
    func submitUnattached(
        _ operation: DiskOperation, disk: Disk?, _ completion: @escaping (ReplicationEngine, Int32) -> Void
    ) {
        disk?.operationsPending += 1
        let index = metadataOperations.insert(MetadataOperation(disk: disk, completion: completion))
        var operation = operation
        operation.id = operationID(.metadata, cookie: metadataOperations.cookie(of: index))
        actions.append(.submit(operation))
    }
}

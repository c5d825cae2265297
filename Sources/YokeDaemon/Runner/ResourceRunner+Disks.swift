internal import Glibc
package import LinuxReactor
package import Replication

/// The backing devices of one volume, opened before the attach.
package struct OpenedDisks: Sendable {
    package var data: DiskFile
    package var metadata: DiskFile
    package var paths: BackingPaths
    package var place: BackingDevice.MetadataPlace

    /// What the engine is told of them.
    package var device: BackingDevice {
        BackingDevice(
            dataSectors: data.capacity >> 9, metadataSectors: metadata.capacity >> 9, metadataPlace: place,
            logicalBlockSize: data.logicalBlockSize, physicalBlockSize: data.physicalBlockSize,
            canDiscard: data.canDiscard, discardZeroes: data.discardZeroes, requestSizeMax: data.requestSizeMax)
    }
}

extension ResourceRunner {
    func record(of volume: VolumeNumber) -> VolumeRecord? { volumes.first { $0.number == volume } }

    func submit(_ operation: DiskOperation) {
        let record = record(of: operation.device.volume)
        let disk =
            switch operation.device.part {
            case .data: record?.dataDisk
            case .metadata: record?.metadataDisk
            }
        guard let disk else {
            preconditionFailure("\(name): the engine uses a disk of volume \(operation.device.volume) that it let go")
        }
        let kind: DiskRequest.Kind =
            switch operation.kind {
            case .read: .read
            case .write(let flushBefore, let forceUnitAccess):
                .write(flushBefore: flushBefore, forceUnitAccess: forceUnitAccess)
            case .flush: .flush
            case .discard: .discard
            case .writeZeroes(let mayUnmap): .writeZeroes(mayUnmap: mayUnmap)
            }
        reactor.submit(
            DiskRequest(
                token: operation.id.rawValue, kind: kind, offset: operation.offset, byteCount: operation.byteCount,
                data: operation.data), to: disk)
    }

    func releaseBackingDevices(of volume: VolumeNumber) {
        guard let record = record(of: volume) else { return }
        closeDisks(of: record)
    }

    /// Takes opened disks for a volume whose attach follows.
    func adopt(_ disks: OpenedDisks, for record: VolumeRecord) {
        record.dataDisk = disks.data
        record.metadataDisk = disks.metadata
        record.paths = disks.paths
        disks.data.handler = self
        disks.metadata.handler = self
    }

    func closeDisks(of record: VolumeRecord) {
        if let disk = record.dataDisk { reactor.close(disk) }
        if let disk = record.metadataDisk, disk !== record.dataDisk { reactor.close(disk) }
        record.dataDisk = nil
        record.metadataDisk = nil
        record.paths = nil
    }
}

extension ResourceRunner: DiskHandler {
    package func diskCompleted(_ disk: DiskFile, token: UInt64, errno: Int32) {
        handle(.diskCompleted(OperationID(token), errno: errno))
    }
}

/// An administrative command, as `drbdsetup` names them. Answered by ``Action/finish(_:_:)``, at once or when the
/// change is done. Spec: drbd-disk-and-state 14, drbd-config-and-tools 11.
package enum Command: Sendable {
    /// A new volume without a disk. Spec: `new-minor`.
    case addVolume(VolumeNumber)
    /// Removes a volume that is Unconfigured. Spec: `del-minor`.
    case removeVolume(VolumeNumber)
    case resourceOptions(ResourceOptions)

    /// The backing devices are open under their ``BackingDeviceID``; the engine reads and checks the metadata.
    /// On failure the engine emits ``Action/releaseBackingDevices(_:)``, but where a disk is attached already.
    case attach(VolumeNumber, BackingDevice, DiskOptions)
    case diskOptions(VolumeNumber, DiskOptions)
    case detach(VolumeNumber, force: Bool)

    case connect(NetworkOptions, ConnectOnce)
    case networkOptions(NetworkOptions)
    case disconnect(force: Bool)

    case primary(VolumeNumber, force: Bool)
    case secondary(VolumeNumber)
    case invalidate(VolumeNumber)
    case invalidateRemote(VolumeNumber)
    /// First and last sector of an online verify; nil is the default (where the last one stopped, the end).
    case verify(VolumeNumber, start: UInt64?, stop: UInt64?)
    case pauseSync(VolumeNumber)
    case resumeSync(VolumeNumber)
    case suspendIO(VolumeNumber)
    case resumeIO(VolumeNumber)
    /// The other host has gone on alone, and nothing that waits here counts: ends the suspension without a new data
    /// generation, so that this copy is the old one.
    case yieldToPeer(VolumeNumber)
    case outdate(VolumeNumber)
    case newCurrentUUID(VolumeNumber, clearBitmap: Bool)
    /// Demote, disconnect, detach all volumes; the owner then drops the engine. Spec: drbd-disk-and-state 14.7.
    case down
}

/// Options of one connect that are not kept. Spec: drbd-wire 6.1.
package struct ConnectOnce: Equatable, Sendable {
    package var discardMyData = false
    /// A dry run of the handshake.
    package var tentative = false

    package init() {}
}

/// What a command ended with.
package enum CommandResult: Equatable, Sendable {
    case success
    /// A state change that was refused: a negative code of drbd-disk-and-state 11.
    case refused(StateChangeResult)
    /// An error number of drbd-config-and-tools 17, with the text that the classic tools print under "additional
    /// info from kernel:".
    case failed(ErrorNumber, info: String?)
}

/// The devices that a volume is attached to.
package struct BackingDevice: Equatable, Sendable {
    package enum MetadataPlace: Equatable, Sendable {
        case `internal`
        case flexibleExternal
        case indexed(Int)
    }

    /// Size of the data device in sectors.
    package var dataSectors: UInt64
    /// Size of the device that holds the metadata, in sectors (the same number for internal).
    package var metadataSectors: UInt64
    package var metadataPlace: MetadataPlace
    /// Bytes. Requests are multiples of it where possible.
    package var logicalBlockSize: Int
    package var physicalBlockSize: Int
    package var canDiscard: Bool
    /// Discarded ranges read as zeroes (a hole of a file does).
    package var discardZeroes: Bool
    /// Largest single request in bytes.
    package var requestSizeMax: Int

    package init(
        dataSectors: UInt64, metadataSectors: UInt64, metadataPlace: MetadataPlace, logicalBlockSize: Int = 512,
        physicalBlockSize: Int = 4096, canDiscard: Bool = true, discardZeroes: Bool = true,
        requestSizeMax: Int = 1 << 20
    ) {
        self.dataSectors = dataSectors
        self.metadataSectors = metadataSectors
        self.metadataPlace = metadataPlace
        self.logicalBlockSize = logicalBlockSize
        self.physicalBlockSize = physicalBlockSize
        self.canDiscard = canDiscard
        self.discardZeroes = discardZeroes
        self.requestSizeMax = requestSizeMax
    }
}

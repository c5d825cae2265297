package import DRBDLayout
package import EngineKit

/// What the owner of a ``ReplicationEngine`` must do, in the order of the list.
///
/// The order carries promises: an action that depends on something durable is only emitted after the
/// ``Input/diskCompleted(_:errno:)`` of that something.
package enum Action {
    // MARK: Network

    /// Listen on the own address of the connection (given with ``Command/connect(_:_:)``).
    case listen
    case stopListening
    /// Connect from the own address to the peer's, for at most `connect-int`; the answer is ``Input/connected(_:)`` or
    /// ``Input/connectFailed(_:errno:)``.
    case connect(SocketID)
    /// ``ReplicationEngine/withOutputQueue(of:_:)`` has bytes to send.
    case transmit(SocketID)
    /// The receive window of this socket was empty and has room again.
    case resumeReceiving(SocketID)
    /// Close the socket; what waits in its output queue is dropped. No input follows for it.
    case close(SocketID)

    // MARK: Disks

    case submit(DiskOperation)
    /// The volume let go of its backing devices: close them.
    case releaseBackingDevices(VolumeNumber)

    // MARK: Applications

    /// The request is done; `errno` 0 is success.
    case complete(RequestID, errno: Int32)

    // MARK: Administration

    case finish(CommandID, CommandResult)
    case runHandler(HandlerCall)
    case log(LogRecord)
    /// The state of something changed, in the order that `drbdsetup events2` tells it.
    case changed(StateChangeEvent)
}

/// One operation on a backing device.
package struct DiskOperation {
    package enum Kind: Equatable, Sendable {
        case read
        /// With `flushBefore` everything completed earlier on that device is durable first; with `forceUnitAccess`
        /// the written bytes are durable when the operation completes.
        case write(flushBefore: Bool, forceUnitAccess: Bool)
        case flush
        case discard
        case writeZeroes(mayUnmap: Bool)
    }

    package var id: OperationID
    package var device: BackingDeviceID
    package var kind: Kind
    /// Byte offset on the device, a multiple of 512.
    package var offset: UInt64
    /// Length in bytes, a multiple of 512; 0 for a flush.
    package var byteCount: Int
    /// Source or destination, `byteCount` long; nil for the kinds without data.
    package var data: IOSlice?

    package init(
        id: OperationID, device: BackingDeviceID, kind: Kind, offset: UInt64, byteCount: Int, data: IOSlice? = nil
    ) {
        self.id = id
        self.device = device
        self.kind = kind
        self.offset = offset
        self.byteCount = byteCount
        self.data = data
    }
}

/// A handler to be run: `drbdadm NAME RESOURCE` or `drbdadm NAME minor-N`. Spec: drbd-disk-and-state 17.
package struct HandlerCall: Equatable, Sendable {
    package var id: HandlerRunID
    /// Name as in the configuration, for example `before-resync-target`.
    package var name: String
    /// Nil for the handlers that concern the whole resource (fence-peer, unfence-peer).
    package var volume: VolumeNumber?

    package init(id: HandlerRunID, name: String, volume: VolumeNumber?) {
        self.id = id
        self.name = name
        self.volume = volume
    }
}

/// A state change (or the call of a handler) as the listeners of events see it.
package enum StateChangeEvent: Sendable {
    /// One volume's state word before and after. A change of role, connection or suspension is reported once for
    /// each volume whose word it changed. Spec: drbd-config-and-tools 13.
    case volume(VolumeNumber, from: DeviceState, to: DeviceState)
    /// The connection of the resource, when it has no volume that could show it, or its network configuration came
    /// or went.
    case networkConfiguration(isPresent: Bool)
    case handlerCalled(name: String, volume: VolumeNumber?)
    case handlerAnswered(name: String, volume: VolumeNumber?, status: Int32)
}

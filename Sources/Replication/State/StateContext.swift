package import DRBDLayout

/// What a state change is judged by, besides the state before and the state wished. Spec: drbd-disk-and-state 11.
package struct StateContext: Equatable, Sendable {
    /// Policy of the local disk; `dontCare` without a disk.
    package var fencing = DiskOptions.Fencing.dontCare
    package var allowTwoPrimaries = false
    package var hasVerifyAlgorithm = false
    package var agreedVersion = 101
    /// An application holds the volume open.
    package var isOpen = false
    package var onNoDataAccessible = ResourceOptions.NoDataPolicy.ioError
    /// The data UUID that applications have seen equals the current UUID of the disk (without the lowest bit).
    package var isExposedDataCurrent = true
    /// Disk states that were remembered at attach, for a volume that is Negotiating. Spec: drbd-disk-and-state 8.1
    /// step 17.
    package var negotiatedDisk = DiskState.diskless
    package var negotiatedPeerDisk = DiskState.unknown
    /// The peer is Primary on another volume of the connection.
    package var isPeerPrimaryOnOtherVolume = false
    /// Between the sending of P_STATE in WFReportParams and the end of WFReportParams.
    package var isHandshakeStateSent = false

    package init() {}
}

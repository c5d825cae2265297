/// Result of a state change. Numbers and texts: drbd-disk-and-state 11. They travel as signed 32-bit numbers.
package enum StateChangeResult: Int32, Sendable, CaseIterable {
    case needsNoTwoStep = 4
    case twoStepAccepted = 3
    case nothingToDo = 2
    case success = 1
    case unknownError = 0
    case twoPrimaries = -1
    case noUpToDateDisk = -2
    case noLocalDisk = -4
    case noRemoteDisk = -5
    case connectedOutdates = -6
    case primaryNeedsPeerOutdated = -7
    case resyncRunning = -8
    case alreadyStandAlone = -9
    case refusedByPeer = -10
    case isDiskless = -11
    case deviceInUse = -12
    case noNetworkConfiguration = -13
    case noVerifyAlgorithm = -14
    case needsConnection = -15
    case lowerThanOutdated = -16
    case notSupportedByPeer = -17
    case inTransientState = -18
    case concurrentChange = -19
    case otherVolumePrimaryOnPeer = -20
    case needsConnectionForOutdate = -21

    package var isSuccess: Bool { rawValue >= 1 }

    /// The text of the classic tools.
    package var text: String {
        switch self {
        case .needsNoTwoStep, .twoStepAccepted, .nothingToDo, .success: "Success"
        case .unknownError: "Unknown error"
        case .twoPrimaries: "Multiple primaries not allowed by config"
        case .noUpToDateDisk: "Need access to UpToDate data"
        case .noLocalDisk: "Can not resync without local disk"
        case .noRemoteDisk: "Can not resync without remote disk"
        case .connectedOutdates: "Refusing to be Outdated while Connected"
        case .primaryNeedsPeerOutdated: "Refusing to be Primary while peer is not outdated"
        case .resyncRunning: "Can not start OV/resync since it is already active"
        case .alreadyStandAlone: "Can not disconnect a StandAlone device"
        case .refusedByPeer: "State change was refused by peer node"
        case .isDiskless: "Device is diskless, the requested operation requires a disk"
        case .deviceInUse: "Device is held open by someone"
        case .noNetworkConfiguration: "Have no net/connection configuration"
        case .noVerifyAlgorithm: "Need a verify algorithm to start online verify"
        case .needsConnection: "Need a connection to start verify or resync"
        case .lowerThanOutdated: "Disk state is lower than outdated"
        case .notSupportedByPeer: "Peer does not support protocol"
        case .inTransientState: "In transient state, retry after next state change"
        case .concurrentChange: "Concurrent state changes detected and aborted"
        case .otherVolumePrimaryOnPeer: "Other vol primary on peer not allowed by config"
        case .needsConnectionForOutdate: "Need a connection for a graceful disconnect/outdate peer"
        }
    }
}

/// Error numbers of commands that an engine or its owner answers. Texts: drbd-config-and-tools 17.
package enum ErrorNumber: Int, Sendable, CaseIterable {
    case localAddressInUse = 102
    case remoteAddressInUse = 103
    case cannotOpenBackingDevice = 104
    case cannotOpenMetadataDevice = 105
    case backingIsNoBlockDevice = 107
    case metadataIsNoBlockDevice = 108
    case diskTooSmall = 111
    case metadataDeviceTooSmall = 112
    case backingDeviceClaimed = 114
    case metadataDeviceClaimed = 115
    case invalidMetadataIndex = 116
    case metadataIOError = 118
    case invalidMetadata = 119
    case authenticationAlgorithmUnknown = 120
    case authenticationAlgorithmNoDigest = 121
    case outOfMemory = 122
    case discardWhilePrimary = 123
    case alreadyAttached = 124
    case alreadyConfigured = 125
    case minorNotAllocated = 127
    case resizeDuringResync = 130
    case resizeNeedsPrimary = 131
    case resyncAfterInvalid = 132
    case resyncAfterCycle = 133
    case pauseFlagSet = 134
    case pauseFlagCleared = 135
    case noDisk = 138
    case twoPrimariesNeedProtocolC = 139
    case verifyAlgorithmUnknown = 146
    case verifyAlgorithmInUse = 149
    case dataNotCurrent = 150
    case needsStandAlone = 151
    case fencingNeedsProtocolBOrC = 154
    case congestionNeedsProtocolA = 155
    case pausedByDependency = 156
    case pausedByPeer = 157
    case unknownResource = 158
    case resourceInUse = 159
    case minorInUse = 160
    case minorOrVolumeExists = 161
    case invalidRequest = 162
    case needsProtocol100 = 163
    case bothPrimary = 164
    case uncleanMetadata = 165
    case implicitShrink = 170

    package var text: String {
        switch self {
        case .localAddressInUse: "Local address(port) already in use."
        case .remoteAddressInUse: "Remote address(port) already in use."
        case .cannotOpenBackingDevice: "Can not open backing device."
        case .cannotOpenMetadataDevice: "Can not open meta device."
        case .backingIsNoBlockDevice: "Lower device is not a block device."
        case .metadataIsNoBlockDevice: "Meta device is not a block device."
        case .diskTooSmall: "Low.dev. smaller than requested DRBD-dev. size."
        case .metadataDeviceTooSmall: "Meta device too small."
        case .backingDeviceClaimed: "Lower device is already claimed. This usually means it is mounted."
        case .metadataDeviceClaimed: "Meta device is already claimed. This usually means it is mounted."
        case .invalidMetadataIndex: "Lower device / meta device / index combination invalid."
        case .metadataIOError: "IO error(s) occurred during initial access to meta-data."
        case .invalidMetadata:
            "No valid meta-data signature found.\n\n\t==> Use 'drbdadm create-md res' to initialize meta-data area. <=="
        case .authenticationAlgorithmUnknown:
            "The 'cram-hmac-alg' you specified is not known in the kernel. (Maybe you need to modprobe it, or modprobe hmac?)"
        case .authenticationAlgorithmNoDigest: "The 'cram-hmac-alg' you specified is not a digest."
        case .outOfMemory: "kmalloc() failed. Out of memory?"
        case .discardWhilePrimary: "--discard-my-data not allowed when primary."
        case .alreadyAttached: "Device is attached to a disk (use detach first)"
        case .alreadyConfigured: "Device has a net-config (use disconnect first)"
        case .minorNotAllocated: "Device minor not allocated"
        case .resizeDuringResync: "Resize not allowed during resync."
        case .resizeNeedsPrimary: "Need one Primary node to resize."
        case .resyncAfterInvalid: "The resync-after minor number is invalid"
        case .resyncAfterCycle: "This would cause a resync-after dependency cycle"
        case .pauseFlagSet: "Sync-pause flag is already set"
        case .pauseFlagCleared: "Sync-pause flag is already cleared"
        case .noDisk: "Device does not have a disk-config"
        case .twoPrimariesNeedProtocolC: "Protocol C required"
        case .verifyAlgorithmUnknown: "VERIFYAlgNotAvail"
        case .verifyAlgorithmInUse: "Can not change verify-alg while online verify runs"
        case .dataNotCurrent: "Can only attach to the data we lost last (see kernel log)."
        case .needsStandAlone: "Need to be StandAlone"
        case .fencingNeedsProtocolBOrC: "Fencing policy resource-and-stonith only with prot B or C allowed"
        case .congestionNeedsProtocolA: "on-congestion policy pull-ahead only with prot A allowed"
        case .pausedByDependency:
            "Sync-pause flag is already cleared\nNote: Resync pause caused by a local resync-after dependency."
        case .pausedByPeer: "Sync-pause flag is already cleared\nNote: Resync pause caused by the peer node."
        case .unknownResource: "Unknown resource"
        case .resourceInUse: "Resource still in use (delete all minors first)"
        case .minorInUse: "Minor still configured (down it first)"
        case .minorOrVolumeExists: "Minor or volume exists already (delete it first)"
        case .invalidRequest: "Invalid configuration request"
        case .needsProtocol100: "Prot version 100 required in order to change\nthese network options while connected"
        case .bothPrimary: "Can not clear allow_two_primaries as long as\nthere a primaries on both sides"
        case .uncleanMetadata: "Unclean meta-data found.\nYou need to 'drbdadm apply-al res'"
        case .implicitShrink: "Implicit device shrinking not allowed. See kernel log."
        }
    }
}

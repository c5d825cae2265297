internal import DRBDLayout
package import Replication

/// One resource as the texts need it: what the engine says, and what only its owner knows (minors, paths, addresses).
package struct ResourceReport: Sendable {
    package var snapshot: ResourceSnapshot
    /// Same order as the volumes of the snapshot.
    package var volumes: [VolumeReport]
    /// `ipv4 10.0.0.1:7788`; nil without network configuration.
    package var localAddress: String?
    package var remoteAddress: String?
    /// Names and values of options that were set, in the order of the option table; for `drbdsetup show`.
    package var resourceOptions: [ShownOption]
    package var netOptions: [ShownOption]
    /// Why the connection was given up, in the words of the log; nil while there is no such reason.
    package var trouble: String?

    package init(
        snapshot: ResourceSnapshot, volumes: [VolumeReport], localAddress: String? = nil, remoteAddress: String? = nil,
        resourceOptions: [ShownOption] = [], netOptions: [ShownOption] = [], trouble: String? = nil
    ) {
        self.snapshot = snapshot
        self.volumes = volumes
        self.localAddress = localAddress
        self.remoteAddress = remoteAddress
        self.resourceOptions = resourceOptions
        self.netOptions = netOptions
        self.trouble = trouble
    }

    package var name: String { snapshot.name }
    /// Whether a network configuration is there.
    package var hasNetwork: Bool { snapshot.network != nil }
}

/// One volume of a ``ResourceReport``.
package struct VolumeReport: Sendable {
    package var minor: Int
    package var snapshot: VolumeSnapshot
    package var backing: BackingPaths?
    package var diskOptions: [ShownOption]
    /// Path of the device node, if there is one.
    package var deviceNode: String?

    package init(
        minor: Int, snapshot: VolumeSnapshot, backing: BackingPaths? = nil, diskOptions: [ShownOption] = [],
        deviceNode: String? = nil
    ) {
        self.minor = minor
        self.deviceNode = deviceNode
        self.snapshot = snapshot
        self.backing = backing
        self.diskOptions = diskOptions
    }

    /// StandAlone, Diskless and Secondary. Spec: drbd-disk-and-state 10.
    package var isUnconfigured: Bool {
        let state = snapshot.state
        return state.conn == .standAlone && state.disk == .diskless && state.role == .secondary
    }
}

/// What a volume is attached to, as it was named.
package struct BackingPaths: Equatable, Sendable {
    package var disk: String
    package var metaDisk: String
    /// `internal`, `flexible` or a number.
    package var index: String

    package init(disk: String, metaDisk: String, index: String) {
        self.disk = disk
        self.metaDisk = metaDisk
        self.index = index
    }
}

/// One line of an options section of `drbdsetup show`.
package struct ShownOption: Equatable, Sendable {
    package var name: String
    /// As it is printed: quoted if it is a string.
    package var value: String
    /// Unit for the comment of `--show-defaults`: `1/10 seconds`, `bytes/second`, ...
    package var unit: String?
    package var isDefault: Bool

    package init(name: String, value: String, unit: String? = nil, isDefault: Bool = false) {
        self.name = name
        self.value = value
        self.unit = unit
        self.isDefault = isDefault
    }
}

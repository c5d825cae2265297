internal import Configuration
internal import LinuxReactor
internal import Replication

/// What a runner keeps of one volume beside the engine's state. Confined to the runner's thread.
final class VolumeRecord {
    let number: VolumeNumber
    let minor: Int
    var dataDisk: DiskFile?
    /// The same object as ``dataDisk`` for internal metadata.
    var metadataDisk: DiskFile?
    var paths: BackingPaths?
    var diskEntries: [OptionEntry] = []
    /// Users that have the volume open.
    var openCount = 0
    /// Path of the block device node, while there is one.
    var deviceNode: String?

    init(number: VolumeNumber, minor: Int) {
        self.number = number
        self.minor = minor
    }
}

/// Option entries in force.
struct RunnerSettings {
    var resource: [OptionEntry] = []
    var net: [OptionEntry] = []
    var localText: String?
    var remoteText: String?
}

package import EngineKit
package import Journal
package import OCFS2Layout

/// An OCFS2 volume that this host has mounted: the root of everything.
///
/// Belongs to one executor: every method runs there. Operations are straight-line `async` functions; after each wait the
/// world may have changed except for what is locked.
///
/// **Lock order** (acquire in this order; spec: ocfs2-cluster 6): rename; ``Inode/gate`` and read/write lock of files,
/// lower block first; metadata locks of directories, ancestor first, else lower block first; of the child; dentry; orphan
/// directory; allocators (inode, extent, clusters); journal handle. No lock is waited for inside a handle.
package final class MountedVolume {
    package let device: any BlockDevice
    package let environment: any EngineEnvironment
    package let locks: any LockService
    package let options: MountOptions
    package let cache: BlockCache
    package let superblock: Superblock
    /// What every block is checked against and made with; a copy of the superblock's.
    package let parameters: VolumeParameters
    /// This host's number in the cluster.
    package let nodeNumber: UInt32

    /// R
    package let renameLock: any ClusterLock
    /// S
    package let superblockLock: any ClusterLock

    /// This host's slot; 0 of a volume that a host alone mounts read-only, without one.
    package internal(set) var slot = 0
    /// Files are not changed, by option, or by `errors=remount-ro`.
    package internal(set) var isReadOnly: Bool
    /// Damage was found that made the mount read-only.
    package internal(set) var isFaulty = false
    /// Why the mount has stopped for good; every change fails with it.
    package internal(set) var stopReason: String?
    /// Told once, when the mount stops for good. The other members wait for this host's locks until it is none.
    package var onStop: ((String) -> Void)?

    /// What the kernel remembers of this volume's files; nil: nothing that other hosts could make wrong.
    package weak var kernelCache: (any KernelCache)?
    /// The journal is clean and the slot given up: nothing is left to be written.
    var hasLeft = false

    var journal: Journal?
    let sealer: VolumeSealer
    /// Where the files of the system directory are.
    var systemNumbers: [SystemFile: UInt64] = [:] {
        didSet { systemFileNumbers = Set(systemNumbers.values) }
    }
    private(set) var systemFileNumbers: Set<UInt64> = []
    /// Those that were used, referenced until the unmount.
    var systemInodes: [SystemFile: Inode] = [:]
    let inodeTable = InodeTable()
    let tasks = BackgroundTasks()
    /// What the journal waits for: for the log.
    package var journalWaits: String { journal?.waits ?? "none" }
    /// It is open whether this host may go on.
    var isSuspended = false
    var suspensionCount = 0
    let writeBack = WriteBack()
    /// Those that were used, by the block of the root.
    var refcountTrees: [UInt64: RefcountTree] = [:]
    /// By flock(2), of files that other hosts may have open.
    var fileLocks: [FileLockKey: FileLock] = [:]
    /// nil: the mount does not write.
    var space: SpaceBook?
    var lastGeneration: UInt32
    var hasUnmounted = false
    /// Members of the cluster that died and may have left a dirty journal, by number.
    var deadMembers: Set<UInt32> = []
    var isRecovering = false
    /// What an unmount is doing, for the log.
    var unmountStep = "tasks"
    /// Unlinked files whose space is being freed.
    var wipesRunning = 0

    /// Excludes tasks of this host that move names between directories; taken before ``renameLock``.
    let renameGate = AsyncReadWriteLock()

    init(
        device: any BlockDevice, environment: any EngineEnvironment, locks: any LockService, options: MountOptions,
        cache: BlockCache, superblock: Superblock, nodeNumber: UInt32
    ) {
        self.device = device
        self.environment = environment
        self.locks = locks
        self.options = options
        self.cache = cache
        self.superblock = superblock
        self.nodeNumber = nodeNumber
        parameters = superblock.parameters
        isReadOnly = options.isReadOnly || device.isReadOnly
        sealer = VolumeSealer(superblock.parameters)
        lastGeneration = UInt32(truncatingIfNeeded: environment.random.next())
        renameLock = locks.lock(LockName(.rename), owner: nil)
        superblockLock = locks.lock(LockName(.superblock, block: Superblock.blockNumber), owner: nil)
    }
}

extension MountedVolume {
    package var geometry: VolumeGeometry { parameters.geometry }
    package var features: VolumeFeatures { parameters.features }
    /// Bytes.
    package var blockSize: Int { parameters.geometry.blockSize }
    /// Bytes.
    package var clusterSize: Int { parameters.geometry.clusterSize }
    package var rootNumber: UInt64 { parameters.rootBlock }
}

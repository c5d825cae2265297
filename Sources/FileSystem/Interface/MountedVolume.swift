package import EngineKit
package import Journal

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

    init(
        device: any BlockDevice, environment: any EngineEnvironment, locks: any LockService, options: MountOptions,
        cache: BlockCache
    ) {
        self.device = device
        self.environment = environment
        self.locks = locks
        self.options = options
        self.cache = cache
    }
}

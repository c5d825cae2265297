internal import OCFS2Layout

/// The cluster locks of an inode that can be named without having read it. Spec: ocfs2-cluster 1.
struct InodeLocks {
    let meta: any ClusterLock
    let open: any ClusterLock

    /// - Parameter isFixed: a system file, or the root directory: its metadata lock carries the volume's generation.
    init(_ volume: MountedVolume, _ number: UInt64, isFixed: Bool) {
        let generation = isFixed ? volume.parameters.generation : 0
        meta = volume.locks.lock(LockName(.metadata, block: number, generation: generation), owner: nil)
        open = volume.locks.lock(LockName(.open, block: number), owner: nil)
    }
}

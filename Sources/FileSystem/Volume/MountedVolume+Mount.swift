package import EngineKit
internal import OCFS2Layout

extension MountedVolume {
    /// Mounts the volume on the device. Spec: ocfs2-disk-2 21.1.
    ///
    /// - Parameter nodeNumber: this host's number in the cluster; 0 for a host alone.
    package static func mount(
        device: any BlockDevice, environment: any EngineEnvironment, locks: any LockService, options: MountOptions,
        nodeNumber: UInt32
    ) async throws(MountError) -> MountedVolume {
        fatalError("not built")
    }

    /// Writes everything back, gives the slot up and leaves the journal clean. Spec: ocfs2-disk-2 21.2.
    package func unmount() async {
        fatalError("not built")
    }

    /// R
    package var renameLock: any ClusterLock { fatalError("not built") }
    /// S
    package var superblockLock: any ClusterLock { fatalError("not built") }
    package var rootNumber: UInt64 { parameters.rootBlock }
}

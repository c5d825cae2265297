internal import EngineKit

extension MountedVolume {
    /// Another member of the cluster died.
    package func memberDied(_ node: UInt32) {
        environment.log(.warning, "node \(node) died; its journal is replayed by the next mount")
    }

    /// This host is no member any more: nothing is written from now on.
    package func fence(_ reason: String) {
        stop(reason)
    }
}

/// Rules of cached locks broken on purpose, so that a simulation can show that it notices each of them. Empty everywhere
/// else.
package struct PlantedFaults: OptionSet, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// Breaks: what was changed under a lock is written back before it is lowered. Spec: ocfs2-cluster 2.
    package static let lowerBeforeWriteBack = PlantedFaults(rawValue: 1 << 0)
    /// Breaks: what a lock protects is looked at anew when it comes back. Spec: ocfs2-cluster 1.
    package static let skipRefresh = PlantedFaults(rawValue: 1 << 1)
    /// Breaks: no metadata lock is used before the journal of a dead member is replayed. Spec: ocfs2-cluster 16.
    package static let useBeforeReplay = PlantedFaults(rawValue: 1 << 2)
}

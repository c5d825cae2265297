/// What the user asked for. What is nil follows from the size of the volume. Spec: ocfs2-disk-2 20.
package struct FormatOptions: Equatable, Sendable {
    /// `-T`: what the volume is for.
    package enum Usage: String, Equatable, Sendable, CaseIterable {
        case mail
        case datafiles
        case vmstore
    }

    /// `--fs-feature-level`.
    package enum FeatureLevel: String, Equatable, Sendable, CaseIterable {
        case `default`
        case maxCompat = "max-compat"
        case maxFeatures = "max-features"
    }

    /// Bytes.
    package var blockSize: Int?
    /// Bytes.
    package var clusterSize: Int?
    package var slots: Int?
    package var label = ""
    /// Bytes of each journal.
    package var journalByteCount: UInt64?
    /// Journals number blocks with 64 bits.
    package var has64BitJournal = false
    package var usage: Usage?
    package var featureLevel = FeatureLevel.default
    /// Names of features in the order given; `no` in front takes one away.
    package var features: [String] = []
    /// `-M local`.
    package var isLocal = false
    package var clusterStack: String?
    package var clusterName: String?
    package var hasBackupSuperblocks = true
    /// Blocks of the volume; all that the device has if nil.
    package var blockCount: UInt64?

    package init() {}
}

/// Why a volume cannot be made as asked. The text is what the user sees.
package struct FormatRefusal: Error, Equatable, Sendable {
    package var text: String

    package init(_ text: String) {
        self.text = text
    }
}

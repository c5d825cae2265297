import OCFS2Layout

/// Names of features on the command line, and what asking for them sets. Spec: ocfs2-disk 2.4.
enum FeatureChoice {
    private enum Word {
        case compatible(CompatibleFeatures)
        case incompatible(IncompatibleFeatures)
        case readOnlyCompatible(ReadOnlyCompatibleFeatures)
    }

    private static func word(_ name: String) -> Word? {
        switch name {
        case "backup-super": .compatible(.backupSuperblock)
        case "local": .incompatible(.localMount)
        case "sparse": .incompatible(.sparseAllocation)
        case "inline-data": .incompatible(.inlineData)
        case "extended-slotmap": .incompatible(.extendedSlotMap)
        case "xattr": .incompatible(.xattr)
        case "indexed-dirs": .incompatible(.indexedDirectories)
        case "metaecc": .incompatible(.metaecc)
        case "refcount": .incompatible(.refcountTree)
        case "discontig-bg": .incompatible(.discontiguousGroups)
        case "clusterinfo": .incompatible(.clusterInfo)
        case "append-dio": .incompatible(.appendDirectIO)
        case "unwritten": .readOnlyCompatible(.unwritten)
        case "usrquota": .readOnlyCompatible(.userQuota)
        case "grpquota": .readOnlyCompatible(.groupQuota)
        default: nil
        }
    }

    /// What a level sets.
    static func features(of level: FormatOptions.FeatureLevel) -> VolumeFeatures {
        switch level {
        case .default:
            VolumeFeatures(
                compatible: .known, incompatible: IncompatibleFeatures(rawValue: 0xb750),
                readOnlyCompatible: .unwritten)
        case .maxCompat:
            VolumeFeatures(compatible: .known)
        case .maxFeatures:
            VolumeFeatures(
                compatible: .known, incompatible: IncompatibleFeatures(rawValue: 0xbf50), readOnlyCompatible: .known)
        }
    }

    /// A level, changed by a list of names. Unwritten extents need sparse files: asking for the one brings the other,
    /// taking the other away takes the one away; asking for both at once is refused.
    static func resolve(
        level: FormatOptions.FeatureLevel, changes: [String]
    ) throws(FormatRefusal) -> VolumeFeatures {
        var set = VolumeFeatures(), cleared = VolumeFeatures()
        for name in changes {
            if let word = word(name) {
                insert(word, into: &set)
            } else if name.hasPrefix("no"), let word = word(String(name.dropFirst(2))) {
                insert(word, into: &cleared)
            } else {
                throw FormatRefusal("Unsupported feature(s) found when parsing fs-features string: \(name)")
            }
        }
        if set.readOnlyCompatible.contains(.unwritten) { set.incompatible.insert(.sparseAllocation) }
        if cleared.incompatible.contains(.sparseAllocation) { cleared.readOnlyCompatible.insert(.unwritten) }
        guard set.compatible.isDisjoint(with: cleared.compatible),
            set.incompatible.isDisjoint(with: cleared.incompatible),
            set.readOnlyCompatible.isDisjoint(with: cleared.readOnlyCompatible)
        else { throw FormatRefusal("Conflicting features specified when parsing fs-features string") }
        var features = features(of: level)
        features.compatible = features.compatible.union(set.compatible).subtracting(cleared.compatible)
        features.incompatible = features.incompatible.union(set.incompatible).subtracting(cleared.incompatible)
        features.readOnlyCompatible = features.readOnlyCompatible.union(set.readOnlyCompatible)
            .subtracting(cleared.readOnlyCompatible)
        return features
    }

    private static func insert(_ word: Word, into features: inout VolumeFeatures) {
        switch word {
        case .compatible(let bits): features.compatible.formUnion(bits)
        case .incompatible(let bits): features.incompatible.formUnion(bits)
        case .readOnlyCompatible(let bits): features.readOnlyCompatible.formUnion(bits)
        }
    }

    /// The names of the features in the order in which mkfs.ocfs2 lists them.
    static func listing(_ features: VolumeFeatures) -> String {
        let order = [
            "local", "sparse", "extended-slotmap", "backup-super", "unwritten", "inline-data", "strict-journal-super",
            "metaecc", "xattr", "indexed-dirs", "usrquota", "grpquota", "refcount", "discontig-bg", "clusterinfo",
            "append-dio",
        ]
        let names = Set(features.names)
        return order.filter { names.contains($0) }.joined(separator: " ")
    }
}

import OCFS2Layout

/// The name of an attribute as it is stored. Spec: ocfs2-disk-2 16.1, 16.6.
struct XattrKey {
    let index: XattrIndex
    /// Without the prefix.
    let name: [UInt8]
    let hash: UInt32

    static let nameByteCountMax = 255

    /// From a full name. Errors: `notSupported` for a class that the format does not have, `invalidArgument` and
    /// `attributeTooLarge` for names of no or too many bytes.
    init(_ fullName: [UInt8], _ volume: MountedVolume) throws(FileSystemError) {
        guard !fullName.isEmpty, !fullName.contains(0) else { throw .invalidArgument }
        guard fullName.count <= Self.nameByteCountMax else { throw .attributeTooLarge }
        guard let (index, prefixLength) = fullName.withUnsafeBytes({ XattrIndex.split($0) }) else {
            throw .notSupported
        }
        self.init(index, Array(fullName[prefixLength...]), volume)
    }

    init(_ index: XattrIndex, _ name: [UInt8], _ volume: MountedVolume) {
        self.index = index
        self.name = name
        hash = name.withUnsafeBytes { XattrNameHash.compute($0, uuidHash: volume.parameters.uuidHash) }
    }

    /// Bytes of name and value in a storage.
    func nameValueSize(_ valueSize: Int) -> Int {
        XattrEntry.nameValueSize(nameLength: name.count, valueSize: valueSize)
    }
}

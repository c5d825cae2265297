internal import Journal
internal import LayoutKit
internal import OCFS2Layout

/// All entries of a directory, read from its data without any index: for the system directory and for orphan directories.
struct LinearDirectory {
    struct Entry: Equatable {
        var name: [UInt8]
        var number: UInt64
    }

    private let directory: Inode

    /// Blocks that are read at once.
    private static let batch = 64

    init(_ directory: Inode) {
        self.directory = directory
    }

    /// Without `.` and `..`.
    func entries() async throws(FileSystemError) -> [Entry] {
        let volume = directory.volume
        guard directory.isDirectory else {
            throw volume.report(
                Corruption(block: directory.number, inode: directory.number, what: "it is no directory"))
        }
        var entries: [Entry] = []
        if directory.hasInlineData {
            try append(DirectoryArea(directory.dinode.inlineData), of: directory.number, to: &entries)
            return entries
        }
        let count = volume.geometry.blocks(coveringBytes: directory.attributes.size)
        let allocated = volume.geometry.blocks(inClusters: directory.attributes.clusters)
        let numbers = try await volume.dataBlocks(of: directory, count: min(count, allocated))
        let hasTrailer = volume.parameters.directoryHasTrailer(isIndexed: directory.isIndexed)
        for start in stride(from: 0, to: numbers.count, by: Self.batch) {
            let part = Array(numbers[start..<min(start + Self.batch, numbers.count)])
            for block in try await volume.blocks(part, .directoryData, for: directory) {
                try append(
                    DirectoryArea(block: block.bytes, hasTrailer: hasTrailer), of: block.number, to: &entries)
            }
        }
        return entries
    }

    private func append(
        _ area: DirectoryArea, of block: UInt64, to entries: inout [Entry]
    ) throws(FileSystemError) {
        do throws(LayoutError) {
            try area.forEach { entry in
                guard entry.isUsed else { return true }
                let name = Array(area.name(of: entry))
                if name != [0x2e], name != [0x2e, 0x2e] { entries.append(Entry(name: name, number: entry.inode)) }
                return true
            }
        } catch {
            throw directory.volume.report(
                Corruption(block: block, inode: directory.number, what: error.description))
        }
    }
}

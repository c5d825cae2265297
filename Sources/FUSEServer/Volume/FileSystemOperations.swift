package import EngineKit
package import FileSystem

/// A node of a filesystem as its server holds it: by a reference that ``release()`` gives back.
package protocol FileSystemNode: AnyObject {
    /// Unique among the living nodes, not 0; the inode's block number.
    var number: UInt64 { get }
    /// Tells apart the objects that had this number one after the other.
    var generation: UInt32 { get }
    func release()
}

/// What a ``FileSystemServer`` asks of the filesystem behind it: ``FileSystem/MountedVolume``, or one in memory in tests.
///
/// The meaning of each operation is that of ``FileSystem/MountedVolume``'s operation of the same name. Nodes that are
/// answered carry a reference for the caller.
package protocol FileSystemOperations: AnyObject {
    associatedtype Node: FileSystemNode

    func rootDirectory() async throws(FileSystemError) -> Node
    func lookup(_ name: FileName, in directory: Node) async throws(FileSystemError) -> Node
    func createFile(_ name: FileName, in directory: Node, _ new: NewNode) async throws(FileSystemError) -> Node
    func makeNode(
        _ name: FileName, in directory: Node, _ new: NewNode, deviceNumber: UInt32
    ) async throws(FileSystemError) -> Node
    func makeDirectory(_ name: FileName, in directory: Node, _ new: NewNode) async throws(FileSystemError) -> Node
    func makeSymbolicLink(
        _ name: FileName, in directory: Node, target: [UInt8], _ new: NewNode
    ) async throws(FileSystemError) -> Node
    func makeTemporaryFile(in directory: Node, _ new: NewNode) async throws(FileSystemError) -> Node
    func readLink(_ node: Node) async throws(FileSystemError) -> [UInt8]
    func link(_ node: Node, to name: FileName, in directory: Node) async throws(FileSystemError)
    func unlink(_ name: FileName, in directory: Node) async throws(FileSystemError)
    func removeDirectory(_ name: FileName, in directory: Node) async throws(FileSystemError)
    func rename(
        _ name: FileName, in directory: Node, to newName: FileName, in newDirectory: Node, _ mode: RenameMode
    ) async throws(FileSystemError)
    func readDirectory(
        _ directory: Node, from cookie: DirectoryCookie, _ visitor: (DirectoryEntry) -> Bool
    ) async throws(FileSystemError)
    func readDirectoryWithInodes(
        _ directory: Node, from cookie: DirectoryCookie, _ visitor: (DirectoryEntry, Node?) async -> Bool
    ) async throws(FileSystemError)

    func attributes(of node: Node) async throws(FileSystemError) -> NodeAttributes
    func setAttributes(
        of node: Node, to change: AttributeChange, caller: Caller
    ) async throws(FileSystemError) -> NodeAttributes
    func statistics() async throws(FileSystemError) -> VolumeStatistics
    func inodeFlags(of node: Node) async throws(FileSystemError) -> UInt32
    func setInodeFlags(of node: Node, to flags: UInt32, caller: Caller) async throws(FileSystemError)

    func openFile(_ node: Node, _ mode: OpenMode, caller: Caller) async throws(FileSystemError)
    func closeFile(_ node: Node, _ mode: OpenMode) async
    func read(
        _ node: Node, at byteOffset: UInt64, into target: IOSlice, isDirect: Bool, mayBecomeDirty: Bool
    ) async throws(FileSystemError) -> Int
    func write(
        _ node: Node, at byteOffset: UInt64, _ source: IOSlice, _ mode: WriteMode
    ) async throws(FileSystemError) -> (byteCount: Int, byteOffset: UInt64)
    func flushFile(_ node: Node) async throws(FileSystemError)
    func syncFile(_ node: Node, dataOnly: Bool) async throws(FileSystemError)
    func allocate(
        _ node: Node, _ range: Range<UInt64>, _ mode: MountedVolume.AllocationMode
    ) async throws(FileSystemError)
    func seek(
        _ node: Node, from byteOffset: UInt64, to target: MountedVolume.SeekTarget
    ) async throws(FileSystemError) -> UInt64
    func copyRange(
        of source: Node, at sourceOffset: UInt64, to target: Node, at targetOffset: UInt64, byteCount: UInt64
    ) async throws(FileSystemError) -> UInt64

    func xattr(_ name: [UInt8], of node: Node) async throws(FileSystemError) -> [UInt8]
    func xattrNames(of node: Node, caller: Caller) async throws(FileSystemError) -> [UInt8]
    func setXattr(
        _ name: [UInt8], of node: Node, to value: [UInt8], _ mode: MountedVolume.XattrMode, caller: Caller,
        dropsSetGroupID: Bool
    ) async throws(FileSystemError)
    func removeXattr(_ name: [UInt8], of node: Node, caller: Caller) async throws(FileSystemError)
}

extension Inode: FileSystemNode {}

extension MountedVolume: FileSystemOperations {
    package typealias Node = Inode
}

/// A node that the kernel knows, or that a request or an open handle uses.
final class NodeRecord<Node: FileSystemNode> {
    /// The protocol's name for it: 1 for the root, else the node's number.
    let id: UInt64
    /// Another one when the object of this number was freed and its block became a new object on another host.
    fileprivate(set) var node: Node
    /// How often the kernel was told of it, less what it has forgotten. Spec: fuse 3.
    fileprivate(set) var lookupCount: UInt64 = 0
    /// Requests under way and open handles.
    fileprivate(set) var userCount = 0
    /// Order of its READs and WRITEs.
    let data = PageRangeQueue()
    let pages = KernelPages()
    /// Open handles that may write.
    var writerCount = 0
    /// How often the lock that guards its attributes was given up: what was read before is not to be kept.
    var recallCount: UInt64 = 0
    /// The kernel was told to drop the listing, and has not read a complete one since. Spec: fuse 20.
    var isListingDropped = false
    /// Whether writing must take away a `security.capability` attribute; nil: not known.
    var hasCapability: Bool?
    /// Whether the mode that the kernel was told has set-ID bits.
    var hasPrivilegeBits = false

    fileprivate init(id: UInt64, node: Node) {
        self.id = id
        self.node = node
    }
}

/// The nodes of one mount by the protocol's ids.
///
/// A record holds one reference of its node. It goes when the kernel has forgotten the node and nobody uses it: FORGET may
/// overtake the end of a RELEASE.
struct NodeTable<Node: FileSystemNode> {
    static var rootID: UInt64 { 1 }

    private var records: [UInt64: NodeRecord<Node>] = [:]
    let root: NodeRecord<Node>

    init(root node: Node) {
        root = NodeRecord(id: Self.rootID, node: node)
        records[Self.rootID] = root
    }

    var count: Int { records.count }

    /// In order.
    var ids: [UInt64] { records.keys.sorted() }

    func record(_ id: UInt64) -> NodeRecord<Node>? {
        id == Self.rootID ? root : records[id]
    }

    func id(of node: Node) -> UInt64 {
        node.number == root.node.number ? Self.rootID : node.number
    }

    /// The record of `node`, whose reference it takes over. The caller counts a lookup or a use, and then the record stays.
    mutating func adopt(_ node: Node) -> NodeRecord<Node> {
        let id = id(of: node)
        if let record = record(id) {
            guard record.node !== node else {
                node.release()
                return record
            }
            precondition(record.node.generation != node.generation, "node \(id) exists twice")
            record.node.release()
            record.node = node
            return record
        }
        let record = NodeRecord(id: id, node: node)
        records[id] = record
        return record
    }

    func countLookup(_ record: NodeRecord<Node>) {
        record.lookupCount += 1
    }

    func beginUse(_ record: NodeRecord<Node>) {
        record.userCount += 1
    }

    mutating func endUse(_ record: NodeRecord<Node>) {
        precondition(record.userCount > 0, "node \(record.id) is left more often than used")
        record.userCount -= 1
        dropIfUnused(record)
    }

    /// The kernel forgets `count` lookups. More than it was told of: false.
    mutating func forget(_ id: UInt64, count: UInt64) -> Bool {
        guard let record = records[id] else { return false }
        let isPossible = count <= record.lookupCount
        record.lookupCount -= min(count, record.lookupCount)
        dropIfUnused(record)
        return isPossible || id == Self.rootID
    }

    private mutating func dropIfUnused(_ record: NodeRecord<Node>) {
        guard record.lookupCount == 0, record.userCount == 0, record.id != Self.rootID else { return }
        records[record.id] = nil
        record.node.release()
    }

    /// The mount has ended: the kernel knows nothing any more.
    mutating func forgetAll() {
        for id in records.keys.sorted() {
            guard let record = records[id] else { continue }
            record.lookupCount = 0
            dropIfUnused(record)
        }
    }
}

import OCFS2Layout

/// What a disk may hold after a crash: the tree after one of the steps since the last that is durable.
package struct WorkloadHistory {
    private var digests: [(step: Int, digest: TreeDigest)]
    /// Files that are gone now, but perhaps not on disk.
    private var removed: [(step: Int, node: TreeModel.Node)] = []

    init(_ model: TreeModel) {
        digests = [(0, model.digest)]
    }

    mutating func note(_ model: TreeModel, before: TreeModel, step: Int) {
        let digest = model.digest
        if digest != digests.last?.digest { digests.append((step, digest)) }
        for (number, node) in before.nodes where node.type == .regular && model.nodes[number] == nil {
            removed.append((step, node))
        }
    }

    /// The tree of this step or of a later one will be there.
    mutating func becameDurable(step: Int) {
        while digests.count > 1, digests[1].step <= step { digests.removeFirst() }
        removed.removeAll { $0.step <= step }
    }

    package func contains(_ digest: TreeDigest) -> Bool {
        digests.contains { $0.digest == digest }
    }

    /// Trees that may be found.
    package var count: Int { digests.count }

    /// The contents of all files that may be found.
    package func contents(with model: TreeModel) -> [TreeModel.Identity: FileContent] {
        var contents: [TreeModel.Identity: FileContent] = [:]
        for node in model.nodes.values where node.type == .regular { contents[node.identity] = node.content }
        for (_, node) in removed { contents[node.identity] = node.content }
        return contents
    }
}

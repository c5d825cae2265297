package import FUSELayout

// Taking back what the kernel was told. Spec: fuse 5, 15, 21, 24.
//
// A ticket is a notification under way. It may come back late: it waits for requests that are parked here. So nobody
// may wait for a ticket while holding what another request of the same file or directory needs.

extension FileSystemServer {
    /// Sends a notification; `completion` gets 0 or an errno when the kernel has carried it out.
    ///
    /// ENOENT means that the kernel does not know the node or name, which is as good as done.
    package func sendTicket(_ notification: FUSENotification, _ completion: @escaping (_ errno: Int32) -> Void) {
        guard phase == .serving else {
            completion(0)
            return
        }
        statistics.notificationCount += 1
        host.send(notification, completion)
    }

    /// Takes back attributes and pages of a node, `byteOffset` nil: attributes only, which never waits for anything.
    package func invalidate(
        _ node: Node, pagesFrom byteOffset: UInt64?, byteCount: UInt64 = 0,
        _ completion: @escaping (_ errno: Int32) -> Void
    ) {
        let id = nodes.id(of: node)
        if byteOffset != nil { nodes.record(id)?.isListingDropped = true }
        sendTicket(
            .invalidateInode(
                node: id, offset: byteOffset.map { Int64(clamping: $0) } ?? -1, length: Int64(clamping: byteCount)),
            completion)
    }

    /// Has the kernel ask again for a name that it was told, or was told not to be there.
    package func expire(_ name: [UInt8], in parent: Node, _ completion: @escaping (_ errno: Int32) -> Void) {
        sendTicket(
            .invalidateEntry(
                parent: nodes.id(of: parent), name: name, expiresOnly: agreed.contains(.hasExpireOnly)), completion)
    }

    /// The attributes of a node changed without a request of the kernel's.
    package func attributesChanged(_ node: Node) {
        invalidate(node, pagesFrom: nil) { _ in }
    }

    /// Open handles that may write to `node`. Spec: fuse 20.
    package func writerCount(of node: Node) -> Int {
        nodes.record(nodes.id(of: node))?.writerCount ?? 0
    }
}

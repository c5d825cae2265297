internal import EngineKit
package import FUSELayout
package import FileSystem

// Giving the kernel's pages back when another host wants the lock that guards them. Spec: fuse 20, 21, 25.
extension FileSystemServer {
    /// All bytes of a file.
    private static var everything: Range<UInt64> { 0..<UInt64(Int64.max) }

    /// Drops every page that the kernel has of the node, dirty ones written back first. Nobody here uses the lock; requests
    /// that come meanwhile wait for it, and those that lock pages of the kernel's are passed over: their pages hold nothing.
    func recallPages(_ record: Record) async throws(FileSystemError) {
        guard record.pages.mayExist, phase == .serving else { return }
        let pages = record.pages
        pages.isRecalling = true
        pages.failure = nil
        record.data.letWriteBackPass()
        defer { pages.isRecalling = false }
        let drops = DropsUnderWay()
        var passedOver = Set(pages.reads.keys).union(pages.writeTails.keys)
        let locked = Array(pages.reads.values) + Array(pages.writeTails.values)
        for part in PageDrops.parts(of: Self.everything, without: locked) { drop(part, record, drops) }
        // The page of a write's last byte may hold old bytes beside the new ones: dropped as soon as it is free.
        for tail in pages.writeTails.values { invalidate(record.node, tail) {} }
        while !drops.list.isDone {
            for (request, range) in pages.reads.merging(pages.writeTails, uniquingKeysWith: { $1 })
            where passedOver.insert(request).inserted {
                for part in drops.list.pass(over: range) { drop(part, record, drops) }
            }
            if drops.list.isDone { break }
            await pages.changed.wait()
        }
        host.drainRequests()
        while pages.writeBackCount > 0, phase == .serving { await pages.changed.wait() }
        if let failure = pages.failure {
            log(.error, "dirty pages of node \(record.id) cannot be written: \(failure)")
            throw .aborted("dirty pages cannot be written: \(failure)")
        }
        pages.mayExist = !pages.writeTails.isEmpty
    }

    /// Before the first handle that may write is answered: what was read under the shared lock goes, since a page of a
    /// writable mapping may become dirty without a word. Spec: fuse 20.
    ///
    /// Handles that come meanwhile wait for it too.
    func dropPagesForWriter(_ record: Record) async {
        while record.pages.isDroppingForWriter { await record.pages.changed.wait() }
        guard policy.isShared, record.writerCount == 1, record.pages.mayExist, phase == .serving else { return }
        record.pages.isDroppingForWriter = true
        defer {
            record.pages.isDroppingForWriter = false
            record.pages.changed.notify()
        }
        let before = Set(record.pages.reads.keys)
        while !before.isDisjoint(with: record.pages.reads.keys) { await record.pages.changed.wait() }
        let drops = DropsUnderWay()
        drop(Self.everything, record, drops)
        while !drops.list.isDone { await record.pages.changed.wait() }
    }

    private func drop(_ range: Range<UInt64>, _ record: Record, _ drops: DropsUnderWay) {
        let number = drops.list.begin(range)
        invalidate(record.node, range) {
            drops.list.ended(number)
            record.pages.changed.notify()
        }
    }

    private func invalidate(_ node: Node, _ range: Range<UInt64>, _ completion: @escaping () -> Void) {
        // To the end of the file is length 0 in the protocol.
        let isToEnd = range.upperBound == Self.everything.upperBound
        invalidate(
            node, pagesFrom: range.lowerBound, byteCount: isToEnd ? 0 : UInt64(range.count)
        ) { _ in completion() }
    }
}

private final class DropsUnderWay {
    var list = PageDrops()
}

extension FileSystemServer: KernelCache where Operations == MountedVolume {
    package func recall(_ inode: Inode, to level: LockLevel) async throws(FileSystemError) {
        guard let record = nodes.record(nodes.id(of: inode)), record.node === inode, phase == .serving else { return }
        if inode.isDirectory {
            // Never waits for anything.
            if level == .null { invalidate(inode, pagesFrom: 0) { _ in } }
            return
        }
        if level == .null { record.recallCount += 1 }
        // Without writers pages are clean, and good for as long as nobody else may write.
        let keepsPages = level == .protectedRead && record.writerCount == 0
        if !keepsPages { try await recallPages(record) }
        if level == .null { invalidate(inode, pagesFrom: nil) { _ in } }
    }

    /// What requests for a node may wait for: for the log.
    package func waits(of id: UInt64) -> String? {
        guard let record = nodes.record(id) else { return nil }
        return "node \(id): \(record.pages.stateText); \(record.node.metaLock.stateText)"
    }

    package func recallPages(while isNeeded: () -> Bool) async {
        for id in nodes.ids where isNeeded() && phase == .serving {
            guard let record = nodes.record(id), !record.node.isDirectory, record.pages.mayExist,
                !record.pages.isRecalling
            else { continue }
            do throws(FileSystemError) {
                try await recallPages(record)
            } catch {
                // Told by the recall; tried again as long as it is needed.
            }
        }
    }

    package func forgetEverything(pages: Bool) {
        guard phase == .serving else { return }
        for id in nodes.ids {
            guard let node = nodes.record(id)?.node else { continue }
            invalidate(node, pagesFrom: pages || node.isDirectory ? 0 : nil) { _ in }
        }
    }

    package func namesWereTaken(of child: UInt64, in directory: UInt64) {
        guard let record = nodes.record(child) else { return }
        // Names are not kept by the kernel; what it knows of the node it asks for again.
        invalidate(record.node, pagesFrom: nil) { _ in }
    }

    package func becameStale(_ inode: Inode) {
        guard let record = nodes.record(nodes.id(of: inode)), record.node === inode else { return }
        invalidate(inode, pagesFrom: 0) { _ in }
    }
}

/// What the kernel may keep of a volume that other hosts change too: attributes and listings while the metadata lock is
/// held and nobody else wants it, names not at all. Spec: fuse 19.
package final class SharedCachePolicy: KernelCachePolicy<Inode> {
    package override var isShared: Bool { true }

    private func isGuarded(_ node: Inode) -> Bool {
        node.metaLock.level >= .protectedRead && !node.metaLock.isWantedElsewhere
    }

    package override func attributesTimeout(of node: Inode) -> FUSETimeout {
        isGuarded(node) ? Self.unlimited : .zero
    }

    package override func nameTimeout(of child: Inode, in parent: Inode) -> FUSETimeout { .zero }
    package override func missingNameTimeout(in parent: Inode) -> FUSETimeout? { nil }
    package override func mayKeepListing(of directory: Inode) -> Bool { isGuarded(directory) }
    package override func mayListWithAttributes(_ child: Inode) -> Bool { isGuarded(child) }
}

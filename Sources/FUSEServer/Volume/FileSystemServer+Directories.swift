internal import EngineKit
internal import FUSELayout
internal import FileSystem
internal import LayoutKit

// Listings. Spec: fuse 4, 13, 19.

extension FileSystemServer {
    /// The largest answer of one READDIR.
    private static var listingByteCountMax: Int { 128 << 10 }

    func readDirectory(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSETransferRequest(decoding: data)
        run(header, record) { [self] () async throws(FileSystemError) in
            var listing = Listing(byteCountMax: min(Int(request.size), Self.listingByteCountMax), pool: pool)
            try await operations.readDirectory(record.node, from: DirectoryCookie(byteOffset: request.offset)) {
                listing.append($0)
            }
            finish(header, record, listing)
        }
    }

    func readDirectoryPlus(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSETransferRequest(decoding: data)
        run(header, record) { [self] () async throws(FileSystemError) in
            var listing = Listing(byteCountMax: min(Int(request.size), Self.listingByteCountMax), pool: pool)
            do throws(FileSystemError) {
                try await operations.readDirectoryWithInodes(
                    record.node, from: DirectoryCookie(byteOffset: request.offset)
                ) { entry, node in
                    guard listing.hasRoom(for: entry, withNode: true) else {
                        node?.release()
                        return false
                    }
                    let listed = await self.listedEntry(node, in: record)
                    listing.append(entry, listed?.reply, recallCount: listed?.record.recallCount ?? 0)
                    return true
                }
            } catch {
                for node in listing.nodes { _ = nodes.forget(node, count: 1) }
                throw error
            }
            // Later entries were waited for: what was told of the earlier ones may have become old.
            listing.limit { id in self.nodes.record(id)?.recallCount }
            finish(header, record, listing)
        }
    }

    /// What the kernel learns of an entry; nil: only the name. Counts the lookup.
    private func listedEntry(_ node: Node?, in parent: Record) async -> (record: Record, reply: FUSEEntryReply)? {
        guard let node else { return nil }
        guard policy.mayListWithAttributes(node) else {
            node.release()
            return nil
        }
        do throws(FileSystemError) {
            let (record, reply) = try await entry(node, in: parent)
            nodes.countLookup(record)
            return (record, reply)
        } catch {
            // The name is there, whatever is wrong with the node: who opens it is told.
            return nil
        }
    }

    private func finish(_ header: FUSERequestHeader, _ record: Record, _ listing: Listing) {
        if listing.slice.count == 0 { record.isListingDropped = false }
        reply(header.unique, payload: listing.slice, nodes: listing.nodes)
    }
}

/// The entries of one answer.
private struct Listing {
    private let buffer: IOBuffer
    private let byteCountMax: Int
    private var byteCount = 0
    /// Nodes that the kernel learns of.
    var nodes: [UInt64] { told.map(\.reply.node) }
    private var told: [Told] = []

    private struct Told {
        let reply: FUSEEntryReply
        let byteOffset: Int
        let recallCount: UInt64
    }

    init(byteCountMax: Int, pool: IOBufferPool) {
        self.byteCountMax = byteCountMax
        buffer = pool.take(byteCount: byteCountMax)
    }

    var slice: IOSlice { IOSlice(buffer: buffer, offset: 0, count: byteCount) }

    func hasRoom(for entry: DirectoryEntry, withNode: Bool) -> Bool {
        let need =
            FUSEDirectoryEntry.byteCount(nameByteCount: entry.name.count)
            + (withNode ? FUSEEntryReply.byteCount : 0)
        return need <= byteCountMax - byteCount
    }

    /// False when it does not fit.
    mutating func append(_ entry: DirectoryEntry) -> Bool {
        guard hasRoom(for: entry, withNode: false) else { return false }
        write(entry)
        return true
    }

    /// An entry with its node, or without one.
    mutating func append(_ entry: DirectoryEntry, _ reply: FUSEEntryReply?, recallCount: UInt64) {
        if let reply {
            reply.encode(into: place(at: byteCount))
            told.append(Told(reply: reply, byteOffset: byteCount, recallCount: recallCount))
        } else {
            place(at: byteCount).clear(count: FUSEEntryReply.byteCount)
        }
        byteCount += FUSEEntryReply.byteCount
        write(entry)
    }

    private func place(at byteOffset: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: buffer.base + byteOffset, count: FUSEEntryReply.byteCount)
    }

    /// Nothing is to be kept of a node whose lock was given up since it was appended. `recallCount` knows how often that was.
    func limit(_ recallCount: (UInt64) -> UInt64?) {
        for told in told where recallCount(told.reply.node) != told.recallCount {
            var reply = told.reply
            reply.nameTimeout = .zero
            reply.attributesTimeout = .zero
            reply.encode(into: place(at: told.byteOffset))
        }
    }

    private mutating func write(_ entry: DirectoryEntry) {
        let count = FUSEDirectoryEntry.byteCount(nameByteCount: entry.name.count)
        FUSEDirectoryEntry.encode(
            inode: entry.number, nextCookie: entry.next.byteOffset, rawType: entry.type?.direntType ?? 0,
            name: entry.name,
            into: UnsafeMutableRawBufferPointer(start: buffer.base + byteCount, count: count))
        byteCount += count
    }
}

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
                    listing.append(entry, await self.listedEntry(node, in: record))
                    return true
                }
            } catch {
                for node in listing.nodes { _ = nodes.forget(node, count: 1) }
                throw error
            }
            finish(header, record, listing)
        }
    }

    /// What the kernel learns of an entry; nil: only the name. Counts the lookup.
    private func listedEntry(_ node: Node?, in parent: Record) async -> FUSEEntryReply? {
        guard let node else { return nil }
        guard policy.mayListWithAttributes(node) else {
            node.release()
            return nil
        }
        do throws(FileSystemError) {
            let (record, reply) = try await entry(node, in: parent)
            nodes.countLookup(record)
            return reply
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
    private(set) var nodes: [UInt64] = []

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
    mutating func append(_ entry: DirectoryEntry, _ reply: FUSEEntryReply?) {
        let place = UnsafeMutableRawBufferPointer(start: buffer.base + byteCount, count: FUSEEntryReply.byteCount)
        if let reply {
            reply.encode(into: place)
            nodes.append(reply.node)
        } else {
            place.clear(count: FUSEEntryReply.byteCount)
        }
        byteCount += FUSEEntryReply.byteCount
        write(entry)
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

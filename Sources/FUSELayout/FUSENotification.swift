internal import LayoutKit

/// A message from the server to the kernel that no request asked for: what it shall no longer believe.
///
/// Written to `/dev/fuse` as a reply with unique 0 and the code in the place of the error, positive. The write may block
/// for long, and only what the server answers meanwhile lets it go on: never from the thread that serves.
/// Spec: fuse 5, 15.
package enum FUSENotification: Equatable, Sendable {
    /// Attributes and access lists always; pages from `offset` on, `length` bytes (0 or less: to the end), none with a
    /// negative offset. Directory: with pages its cached listing.
    case invalidateInode(node: UInt64, offset: Int64, length: Int64)
    /// A name. With `expiresOnly` the next use asks again, and what is below stays if the answer is the same.
    case invalidateEntry(parent: UInt64, name: [UInt8], expiresOnly: Bool)
    /// The name is gone, and the node behind it has no link any more.
    case delete(parent: UInt64, child: UInt64, name: [UInt8])
    /// Puts data into the page cache and raises the kernel's size.
    case store(node: UInt64, offset: UInt64, data: [UInt8])
    /// Every name and listing given so far is void at its next use. Linux 6.16.
    case incrementEpoch

    private enum Code {
        static let invalidateInode: UInt32 = 2
        static let invalidateEntry: UInt32 = 3
        static let store: UInt32 = 4
        static let delete: UInt32 = 6
        static let incrementEpoch: UInt32 = 8
    }

    private var code: UInt32 {
        switch self {
        case .invalidateInode: Code.invalidateInode
        case .invalidateEntry: Code.invalidateEntry
        case .delete: Code.delete
        case .store: Code.store
        case .incrementEpoch: Code.incrementEpoch
        }
    }

    /// Bytes of the whole message.
    package var byteCount: Int {
        switch self {
        case .invalidateInode: FUSEReplyHeader.byteCount + 24
        case .invalidateEntry(_, let name, _): FUSEReplyHeader.byteCount + 16 + name.count + 1
        case .delete(_, _, let name): FUSEReplyHeader.byteCount + 24 + name.count + 1
        case .store(_, _, let data): FUSEReplyHeader.byteCount + 24 + data.count
        case .incrementEpoch: FUSEReplyHeader.byteCount
        }
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out.clear(count: byteCount)
        out[LE32(offset: 0)] = UInt32(byteCount)
        out[LE32(offset: 4)] = code
        let body = out.dropped(FUSEReplyHeader.byteCount)
        switch self {
        case .invalidateInode(let node, let offset, let length):
            body[LE64(offset: 0)] = node
            body[LE64(offset: 8)] = UInt64(bitPattern: offset)
            body[LE64(offset: 16)] = UInt64(bitPattern: length)
        case .invalidateEntry(let parent, let name, let expiresOnly):
            body[LE64(offset: 0)] = parent
            body[LE32(offset: 8)] = UInt32(name.count)
            body[LE32(offset: 12)] = expiresOnly ? 1 : 0
            body.part(offset: 16, count: name.count).copyBytes(from: name)
        case .delete(let parent, let child, let name):
            body[LE64(offset: 0)] = parent
            body[LE64(offset: 8)] = child
            body[LE32(offset: 16)] = UInt32(name.count)
            body.part(offset: 24, count: name.count).copyBytes(from: name)
        case .store(let node, let offset, let data):
            body[LE64(offset: 0)] = node
            body[LE64(offset: 8)] = offset
            body[LE32(offset: 16)] = UInt32(data.count)
            body.part(offset: 24, count: data.count).copyBytes(from: data)
        case .incrementEpoch:
            break
        }
    }

    /// The whole message.
    package var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: byteCount) { out, count in
            count = byteCount
            encode(into: UnsafeMutableRawBufferPointer(out))
        }
    }
}

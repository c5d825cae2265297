internal import EngineKit
internal import FUSELayout
internal import FileSystem
internal import LayoutKit

// The ioctls that the kernel passes on. Spec: fuse 8.1.

/// Bits of FS_IOC_FSGETXATTR and what they are in FS_IOC_GETFLAGS; the kernel converts the same way.
private let extendedFlags: [(extended: UInt32, plain: UInt32)] = [
    (0x0008, 0x0010),  // immutable
    (0x0010, 0x0020),  // append only
    (0x0020, 0x0008),  // synchronous
    (0x0040, 0x0080),  // no access times
    (0x0080, 0x0040),  // not dumped
]

extension FileSystemServer {
    func ioctl(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSEIoctlRequest(decoding: data)
        let input = data.dropped(FUSEIoctlRequest.byteCount)
        let caller = caller(header)
        switch FUSEIoctlCommand(rawValue: request.command) {
        case .getFlags, .getFlags32:
            run(header, record) { [self] () async throws(FileSystemError) in
                replyIoctl(header, request, number: try await operations.inodeFlags(of: record.node))
            }
        case .getExtendedFlags:
            run(header, record) { [self] () async throws(FileSystemError) in
                let plain = try await operations.inodeFlags(of: record.node)
                let flags = extendedFlags.reduce(UInt32(0)) { plain & $1.plain != 0 ? $0 | $1.extended : $0 }
                var bytes = [UInt8](repeating: 0, count: FUSEExtendedFlags.byteCount)
                bytes.withUnsafeMutableBytes { FUSEExtendedFlags(flags: flags).encode(into: $0) }
                replyIoctl(header, request, bytes)
            }
        case .setFlags, .setFlags32:
            try LayoutError.require(4, of: input)
            setFlags(header, record, request, input[LE32(offset: 0)], caller)
        case .setExtendedFlags:
            let flags = try FUSEExtendedFlags(decoding: input).flags
            run(header, record) { [self] () async throws(FileSystemError) in
                let old = try await operations.inodeFlags(of: record.node)
                let kept = extendedFlags.reduce(old) { $0 & ~$1.plain }
                let new = extendedFlags.reduce(kept) { flags & $1.extended != 0 ? $0 | $1.plain : $0 }
                try await operations.setInodeFlags(of: record.node, to: new, caller: caller)
                replyIoctl(header, request, [])
            }
        case .getVersion, .getVersion32:
            run(header, record) { [self] () async throws(FileSystemError) in
                replyIoctl(header, request, number: record.node.generation)
            }
        case .getLabel, .trim, nil:
            fail(header.unique, ErrorNumber.notTerminal)
        }
    }

    private func setFlags(
        _ header: FUSERequestHeader, _ record: Record, _ request: FUSEIoctlRequest, _ flags: UInt32,
        _ caller: Caller
    ) {
        run(header, record) { [self] () async throws(FileSystemError) in
            try await operations.setInodeFlags(of: record.node, to: flags, caller: caller)
            replyIoctl(header, request, [])
        }
    }

    /// A number in as many bytes as were asked for: 4, or 8 where the command's number says "long".
    private func replyIoctl(_ header: FUSERequestHeader, _ request: FUSEIoctlRequest, number: UInt32) {
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.withUnsafeMutableBytes { $0[LE32(offset: 0)] = number }
        replyIoctl(header, request, bytes)
    }

    private func replyIoctl(_ header: FUSERequestHeader, _ request: FUSEIoctlRequest, _ bytes: [UInt8]) {
        let sent = bytes.prefix(Int(request.outputSize))
        let count = FUSEReplyHeader.byteCount + FUSEIoctlReply.byteCount + sent.count
        append(count: count) {
            FUSEReplyHeader(length: count, errno: 0, unique: header.unique).encode(into: $0)
            let body = $0.dropped(FUSEReplyHeader.byteCount)
            FUSEIoctlReply(result: 0).encode(into: body)
            body.dropped(FUSEIoctlReply.byteCount).copyBytes(from: sent)
        }
    }
}

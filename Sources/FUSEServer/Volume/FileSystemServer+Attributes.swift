internal import EngineKit
internal import FUSELayout
internal import FileSystem
internal import LayoutKit

// Attributes, extended attributes, the volume's figures. Spec: fuse 3, 4, 11.

extension FUSEAttributes {
    init(_ attributes: NodeAttributes) {
        self.init(
            inode: attributes.number, sizeBytes: attributes.size, blocks: attributes.sectorCount,
            mode: UInt32(attributes.mode))
        atime = Time(attributes.accessTime)
        mtime = Time(attributes.modificationTime)
        ctime = Time(attributes.changeTime)
        links = attributes.linkCount
        user = attributes.uid
        group = attributes.gid
        // The disk's encoding of device numbers is the kernel's for user space. Spec: ocfs2-disk 19 rule 5.
        device = UInt32(truncatingIfNeeded: attributes.deviceNumber)
    }
}

extension FUSEAttributes.Time {
    init(_ time: WallTime) {
        self.init(seconds: time.seconds, nanoseconds: time.nanoseconds)
    }
}

extension NodeRecord {
    /// These attributes are told to the kernel.
    func note(_ attributes: NodeAttributes) {
        hasPrivilegeBits = attributes.mode & (FileMode.setUserID | FileMode.setGroupID) != 0
    }
}

extension FileSystemServer {
    func getAttributes(_ header: FUSERequestHeader, _ record: Record) {
        run(header, record) { [self] () async throws(FileSystemError) in
            replyAttributes(header, record, try await operations.attributes(of: record.node))
        }
    }

    private func replyAttributes(_ header: FUSERequestHeader, _ record: Record, _ attributes: NodeAttributes) {
        record.note(attributes)
        reply(
            header.unique,
            FUSEAttributesReply(
                timeout: policy.attributesTimeout(of: record.node), attributes: FUSEAttributes(attributes)))
    }

    func setAttributes(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let change = AttributeChange(try FUSESetAttributesRequest(decoding: data))
        let caller = caller(header)
        run(header, record) { [self] () async throws(FileSystemError) in
            if change.size != nil || change.uid != nil || change.gid != nil {
                try await dropCapability(record)
            }
            replyAttributes(
                header, record, try await operations.setAttributes(of: record.node, to: change, caller: caller))
        }
    }

    func statfs(_ header: FUSERequestHeader, _ record: Record) {
        run(header, record) { [self] () async throws(FileSystemError) in
            let figures = try await operations.statistics()
            reply(
                header.unique,
                FUSEStatfsReply(
                    blocks: figures.blockCount, blocksFree: figures.freeBlockCount,
                    blocksAvailable: figures.freeBlockCount, files: figures.inodeCount,
                    filesFree: figures.freeInodeCount, blockSize: figures.blockSize,
                    nameLengthMax: figures.nameByteCountMax, fragmentSize: figures.blockSize))
        }
    }

    // MARK: Extended attributes

    func setXattr(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let isExtended = agreed.contains(.setExtendedAttributeExtended)
        let request = try FUSESetXattrRequest(decoding: data, isExtended: isExtended)
        let (rawName, rest) = try FUSEName.split(
            data.dropped(isExtended ? FUSESetXattrRequest.byteCount : FUSESetXattrRequest.byteCountPlain))
        guard rest.count >= Int(request.size) else { throw .truncated(need: Int(request.size), have: rest.count) }
        let name = Array(rawName)
        let value = Array(rest.part(offset: 0, count: Int(request.size)))
        let mode: MountedVolume.XattrMode
        switch request.flags {
        case []: mode = .createOrReplace
        case .create: mode = .create
        case .replace: mode = .replace
        default:
            fail(header.unique, ErrorNumber.invalid)
            return
        }
        let caller = caller(header)
        run(header, record) { [self] () async throws(FileSystemError) in
            try await operations.setXattr(
                name, of: record.node, to: value, mode, caller: caller, dropsSetGroupID: request.clearsSetGroup)
            if name == CapabilityAttribute.name { record.hasCapability = true }
            acknowledge(header.unique)
        }
    }

    func getXattr(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSEGetXattrRequest(decoding: data)
        let name = Array(try FUSEName.decode(data.dropped(FUSEGetXattrRequest.byteCount)))
        run(header, record) { [self] () async throws(FileSystemError) in
            replyXattr(header, request, try await operations.xattr(name, of: record.node))
        }
    }

    func listXattrs(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSEGetXattrRequest(decoding: data)
        let caller = caller(header)
        run(header, record) { [self] () async throws(FileSystemError) in
            replyXattr(header, request, try await operations.xattrNames(of: record.node, caller: caller))
        }
    }

    /// Size 0 asks for the length only.
    private func replyXattr(_ header: FUSERequestHeader, _ request: FUSEGetXattrRequest, _ value: [UInt8]) {
        if request.size == 0 {
            reply(header.unique, FUSEGetXattrReply(size: UInt32(value.count)))
        } else if value.count > Int(request.size) {
            fail(header.unique, ErrorNumber.outOfRange)
        } else {
            reply(header.unique, bytes: value)
        }
    }

    func removeXattr(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let name = Array(try FUSEName.decode(data))
        let caller = caller(header)
        run(header, record) { [self] () async throws(FileSystemError) in
            try await operations.removeXattr(name, of: record.node, caller: caller)
            if name == CapabilityAttribute.name { record.hasCapability = false }
            acknowledge(header.unique)
        }
    }

    /// Who writes to a program takes its capabilities away; with KILLPRIV_V2 that is ours. Spec: fuse 2, 20.
    ///
    /// Whether there is one is asked once: as long as the kernel remembers the node, nobody else sets it.
    func dropCapability(_ record: Record) async throws(FileSystemError) {
        guard record.hasCapability != false else { return }
        if record.hasCapability == nil {
            do throws(FileSystemError) {
                _ = try await operations.xattr(CapabilityAttribute.name, of: record.node)
            } catch .noAttribute, .notSupported {
                record.hasCapability = false
                return
            }
        }
        do throws(FileSystemError) {
            try await operations.removeXattr(CapabilityAttribute.name, of: record.node, caller: .system)
        } catch .noAttribute {
            // Somebody was faster.
        }
        record.hasCapability = false
    }
}

// MARK: Privileges of programs that are changed

extension FileSystemServer {
    /// Contents change by another way than a WRITE: capabilities and set-ID bits go, unless root does it.
    func dropPrivileges(_ record: Record, _ caller: Caller) async throws(FileSystemError) {
        try await dropCapability(record)
        guard record.hasPrivilegeBits, !caller.isPrivileged else { return }
        var change = AttributeChange()
        change.dropsPrivilegeBits = true
        _ = try await operations.setAttributes(of: record.node, to: change, caller: caller)
        await privilegeBitsDropped(record)
    }

    /// The kernel keeps the mode that it knows over a write: it must ask again. Attributes alone never make it wait.
    func privilegeBitsDropped(_ record: Record) async {
        record.hasPrivilegeBits = false
        await withUnsafeContinuation { continuation in
            sendTicket(.invalidateInode(node: record.id, offset: -1, length: 0)) { _ in continuation.resume() }
        }
    }
}

/// File capabilities.
enum CapabilityAttribute {
    static let name = Array("security.capability".utf8)
}

extension AttributeChange {
    /// Spec: fuse 4, SETATTR.
    init(_ request: FUSESetAttributesRequest) {
        self.init()
        let valid = request.valid
        if valid.contains(.mode) { mode = UInt16(truncatingIfNeeded: request.mode) & FileMode.permissionMask }
        if valid.contains(.user) { uid = request.user }
        if valid.contains(.group) { gid = request.group }
        if valid.contains(.size) { size = request.sizeBytes }
        if valid.contains(.atimeNow) {
            accessTime = .now
        } else if valid.contains(.atime) {
            accessTime = .at(WallTime(request.atime))
        }
        if valid.contains(.mtimeNow) {
            modificationTime = .now
        } else if valid.contains(.mtime) {
            modificationTime = .at(WallTime(request.mtime))
        }
        if valid.contains(.ctime) { changeTime = WallTime(request.ctime) }
        dropsPrivilegeBits = valid.contains(.killSetIDs)
    }
}

extension WallTime {
    /// Nanoseconds of a second and more are a mistake of the kernel's; they are cut.
    init(_ time: FUSEAttributes.Time) {
        self.init(seconds: time.seconds, nanoseconds: min(time.nanoseconds, 999_999_999))
    }
}

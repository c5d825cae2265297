package import LayoutKit
package import OCFS2Layout

/// A volume that nobody here has mounted, read without locks: what lies on the disk now, not what journals hold.
package struct OfflineVolume {
    package enum Failure: Error, Equatable, Sendable {
        case device(OfflineDeviceError)
        /// A block is not what it must be. `block` is where.
        case corrupt(block: UInt64, LayoutError)
    }

    package let superblock: Superblock
    private let device: any OfflineDevice

    private var parameters: VolumeParameters { superblock.parameters }
    private var geometry: VolumeGeometry { parameters.geometry }

    /// nil: the device holds no OCFS2 volume.
    package init?(_ device: any OfflineDevice) throws(Failure) {
        self.device = device
        let start: [UInt8]
        do throws(OfflineDeviceError) {
            start = try device.read(at: 0, count: Int(min(device.byteCount, 12288)))
        } catch {
            throw .device(error)
        }
        let found = try Self.checked(2) { () throws(LayoutError) in try Self.probe(start) }
        guard let found else { return nil }
        superblock = found
    }

    private static func probe(_ start: [UInt8]) throws(LayoutError) -> Superblock? {
        try withBytes(start) { (bytes) throws(LayoutError) in try Superblock.probe(bytes) }
    }

    /// The nodes that the slot map names, by slot; nil for a free slot. nil as a whole on local volumes: they have no
    /// use for it.
    package func slots() throws(Failure) -> SlotMap {
        let form = SlotMap.Form(parameters.features)
        let count = Int(parameters.slotCount)
        let inode = try systemInode(named: SystemInode.slotMap.name)
        let data = try read(file: inode, byteCount: count * form.entryByteCount)
        return try Self.checked(inode.number) { () throws(LayoutError) in
            try Self.withBytes(data) { (bytes) throws(LayoutError) in
                try SlotMap(decoding: bytes, form: form, slotCount: count)
            }
        }
    }

    // MARK: - Reading

    private struct Inode {
        var number: UInt64
        var bytes: [UInt8]
    }

    private func systemInode(named name: String) throws(Failure) -> Inode {
        let directory = try dinode(parameters.systemDirectoryBlock)
        for block in try directoryAreas(directory) {
            let number = try Self.checked(directory.number) { () throws(LayoutError) in
                try Self.find(name, in: block)
            }
            if let number { return try dinode(number) }
        }
        throw .corrupt(
            block: directory.number, .badText(field: "system directory", reason: "no entry '\(name)'"))
    }

    private static func find(_ name: String, in area: [UInt8]) throws(LayoutError) -> UInt64? {
        let name = Array(name.utf8)
        return try withBytes(area) { (bytes) throws(LayoutError) in
            try withBytes(name) { (name) throws(LayoutError) in
                try DirectoryArea(reading: bytes).find(name)?.inode
            }
        }
    }

    private func dinode(_ number: UInt64) throws(Failure) -> Inode {
        let bytes = try block(number)
        let parameters = parameters
        try Self.checked(number) { () throws(LayoutError) in
            try Self.withBytes(bytes) { (bytes) throws(LayoutError) in
                try Dinode.validate(bytes, block: number, parameters)
            }
        }
        return Inode(number: number, bytes: bytes)
    }

    private func block(_ number: UInt64) throws(Failure) -> [UInt8] {
        do throws(OfflineDeviceError) {
            return try device.read(at: geometry.byteOffset(ofBlock: number), count: geometry.blockSize)
        } catch {
            throw .device(error)
        }
    }

    /// The areas of a directory: its inline data, or its blocks. A trailer passes for an unused entry.
    private func directoryAreas(_ directory: Inode) throws(Failure) -> [[UInt8]] {
        let isInline = Self.withBytes(directory.bytes) { Dinode.content(of: $0) == .inlineData }
        let size = Self.withBytes(directory.bytes) { $0[Dinode.Field.size] }
        if isInline { return [Array(directory.bytes[Dinode.inlineDataOffset..<Dinode.inlineDataOffset + Int(size)])] }
        let data = try read(file: directory, byteCount: Int(min(size, 1 << 20)))
        return stride(from: 0, to: data.count - geometry.blockSize + 1, by: geometry.blockSize).map {
            Array(data[$0..<$0 + geometry.blockSize])
        }
    }

    /// The first bytes of a file whose extents lie in its dinode, which those of system files read here do.
    private func read(file: Inode, byteCount: Int) throws(Failure) -> [UInt8] {
        let (geometry, parameters) = (geometry, parameters)
        let records = try Self.checked(file.number) { () throws(LayoutError) in
            try Self.withBytes(file.bytes) { (bytes) throws(LayoutError) in
                let list = ExtentListView(reading: bytes, offset: Dinode.contentOffset)
                try ExtentListView.validate(
                    bytes, offset: Dinode.contentOffset, capacity: geometry.dinodeExtentCapacity,
                    isCapacityExact: false, depth: 0)
                try list.validateRecords(parameters)
                return (0..<list.count).map { list[$0] }
            }
        }
        var data: [UInt8] = []
        for record in records where data.count < byteCount {
            let blocks = geometry.blocks(inClusters: record.clusters)
            for block in record.block..<record.block + blocks where data.count < byteCount {
                data += try self.block(block)
            }
        }
        return Array(data.prefix(byteCount))
    }

    // MARK: - Errors

    private static func checked<Result>(
        _ block: UInt64, _ body: () throws(LayoutError) -> Result
    ) throws(Failure) -> Result {
        do throws(LayoutError) { return try body() } catch { throw .corrupt(block: block, error) }
    }

    private static func withBytes<Result, Problem: Error>(
        _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(Problem) -> Result
    ) throws(Problem) -> Result {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: bytes)
        return try body(UnsafeRawBufferPointer(buffer))
    }
}

extension OfflineVolume.Failure: CustomStringConvertible {
    package var description: String {
        switch self {
        case .device(let error): error.description
        case .corrupt(let block, let error): "block \(block): \(error.description)"
        }
    }
}

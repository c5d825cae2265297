package import EngineSimulation
internal import Glibc
internal import OCFS2Layout

/// Volumes on disks in memory, made and checked by the reference tools.
package enum SimulatedVolume {
    /// Options of mkfs.ocfs2.
    package struct Recipe: Hashable, Sendable {
        package var mebibytes = 48
        package var blockSize = 1024
        package var clusterSize = 4096
        package var features: [String] = []
        /// For so many hosts; nil: for one alone.
        package var slotsOfCluster: Int?

        package init() {}

        fileprivate var arguments: [String] {
            var list = ["-q", "-x", "-F", "-b", "\(blockSize)", "-C", "\(clusterSize)"]
            if let slotsOfCluster {
                list += ["-N", "\(slotsOfCluster)", "-M", "cluster", "--cluster-stack=o2cb", "--cluster-name=yoke"]
            } else {
                list += ["-N", "2", "-M", "local"]
            }
            list += ["-J", "size=4M", "-U", "0123456789ABCDEF0123456789ABCDEF"]
            if !features.isEmpty { list.append("--fs-features=" + features.joined(separator: ",")) }
            return list
        }
    }

    package struct ToolFailure: Error, CustomStringConvertible {
        package var description: String
    }

    private static let step = 65536

    /// An empty volume.
    package static func make(_ recipe: Recipe, environment: VirtualEnvironment) throws(ToolFailure) -> MemoryDevice {
        let byteCount = UInt64(recipe.mebibytes) << 20
        let file = ScratchFile(byteCount: byteCount)
        let outcome = ExternalTool.run("mkfs.ocfs2", recipe.arguments + [file.path])
        guard outcome.status == 0 else {
            throw ToolFailure(description: "mkfs.ocfs2 ended with \(outcome.status): \(outcome.text)")
        }
        let device = MemoryDevice(byteCount: byteCount, environment: environment)
        for offset in stride(from: 0, to: byteCount, by: step) {
            let bytes = file.read(at: offset, count: min(step, Int(byteCount - offset)))
            if bytes.contains(where: { $0 != 0 }) { bytes.withUnsafeBytes { device.write(at: offset, $0) } }
        }
        return device
    }

    /// Writes the disk to a file that stays: for another implementation to recover.
    package static func save(_ device: MemoryDevice, to path: String) throws(ToolFailure) {
        let descriptor = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0o644)
        guard descriptor >= 0 else { throw ToolFailure(description: "cannot make \(path): errno \(errno)") }
        defer { close(descriptor) }
        var isWritten = ftruncate(descriptor, off_t(device.byteCount)) == 0
        for offset in stride(from: 0, to: device.byteCount, by: step) where isWritten {
            let bytes = device.bytes(at: offset, count: min(step, Int(device.byteCount - offset)))
            guard bytes.contains(where: { $0 != 0 }) else { continue }
            isWritten = pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count
        }
        guard isWritten else { throw ToolFailure(description: "cannot write \(path): errno \(errno)") }
    }

    /// The faults that `fsck.ocfs2 -fn` finds, without those it also finds on volumes of the kernel alone.
    /// Spec: ocfs2-disk-2 23.
    package static func faults(on device: MemoryDevice) -> [String] {
        let file = ScratchFile(byteCount: device.byteCount)
        for offset in stride(from: 0, to: device.byteCount, by: step) {
            let bytes = device.bytes(at: offset, count: min(step, Int(device.byteCount - offset)))
            if bytes.contains(where: { $0 != 0 }) { file.write(bytes, at: offset) }
        }
        let outcome = ExternalTool.run("fsck.ocfs2", ["-fn", file.path], seconds: 120)
        guard outcome.status == 0, outcome.text.contains("All passes succeeded") else {
            return ["fsck.ocfs2 ended with \(outcome.status): \(outcome.text)"]
        }
        let system = device.bytes(at: 0, count: 12288).withUnsafeBytes { bytes in
            (try? Superblock.probe(bytes))?.parameters.systemDirectoryBlock
        }
        // Preallocation behind the end; holes in attribute areas; mkfs.ocfs2 leaves the system directory without an index.
        var known = ["[INODE_SPARSE_SIZE]", "[XATTR_FREE_START_INVALID]"]
        if let system { known.append("[DX_TREE_MISSING] Directory \(system) ") }
        return outcome.text.split(separator: "\n").map(String.init).filter { line in
            line.hasPrefix("[") && !known.contains(where: line.hasPrefix)
        }
    }
}

/// A temporary file that holds a disk; removed with the object.
private final class ScratchFile {
    let path: String
    private let descriptor: Int32

    init(byteCount: UInt64) {
        // In memory if possible: the tools flush what they write.
        let directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(directory)/volume-XXXXXX".utf8CString)
        descriptor = template.withUnsafeMutableBufferPointer { mkstemp($0.baseAddress!) }
        precondition(descriptor >= 0, "no temporary file: errno \(errno)")
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        precondition(ftruncate(descriptor, off_t(byteCount)) == 0, "no file of \(byteCount) bytes: errno \(errno)")
    }

    deinit {
        close(descriptor)
        unlink(path)
    }

    func read(at offset: UInt64, count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        precondition(pread(descriptor, &bytes, count, off_t(offset)) == count, "cannot read \(path): errno \(errno)")
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: UInt64) {
        precondition(
            pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count, "cannot write \(path): errno \(errno)"
        )
    }
}

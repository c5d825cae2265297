internal import Configuration
internal import EngineKit
internal import Glibc
internal import LayoutKit
internal import LinuxReactor
internal import OCFS2Layout
internal import Replication
internal import YokeControl

/// Where a volume is to be found.
enum MountPlace {
    case path(String)
    case replicated(ResourceRegistry.Device)
}

// From what a person writes to where the volume lies.
extension Daemon {
    /// `LABEL=`, `UUID=`, a resource (`r0`, `r0/1`), `/dev/drbdN`, or a path. Answers also the name to show.
    func locate(_ word: String) async throws(MountFailure) -> (source: String, place: MountPlace) {
        if word.hasPrefix("LABEL=") { return try await search(.label(Self.unquoted(word.dropFirst(6)))) }
        if word.hasPrefix("UUID=") { return try await search(.uuid(Self.unquoted(word.dropFirst(5)).lowercased())) }
        if let found = find(word) { return ("/dev/drbd\(found.minor)", .replicated(found.device)) }
        let path = paths.resolveDevice(word)
        guard access(path, F_OK) == 0 else {
            let what =
                word.hasPrefix("/") ? "there is no \(word)" : "no resource \(word) is up, and no such file exists"
            throw MountFailure(text: what)
        }
        return (path, .path(path))
    }

    private static func unquoted(_ text: Substring) -> String {
        text.hasPrefix("\"") && text.hasSuffix("\"") && text.count >= 2
            ? String(text.dropFirst().dropLast()) : String(text)
    }

    private func search(_ mark: VolumeMark) async throws(MountFailure) -> (source: String, place: MountPlace) {
        for runner in registry.resources {
            for entry in registry.minors(of: runner) {
                let device = ResourceRegistry.Device(runner: runner, volume: entry.volume)
                guard let marks = await superblockMarks(of: device), marks.matches(mark) else { continue }
                return ("/dev/drbd\(entry.minor)", .replicated(device))
            }
        }
        let found = await Self.blocking { BlockDeviceScan.first(matching: mark) }
        guard let found else { throw MountFailure(text: "no OCFS2 volume with \(mark) was found") }
        return (found, .path(found))
    }

    /// What the superblock on the backing disk of a Primary says of itself.
    private func superblockMarks(of device: ResourceRegistry.Device) async -> SuperblockMarks? {
        let backing = await device.runner.ask { runner -> String? in
            runner.openRefusal(device.volume) == nil ? runner.record(of: device.volume)?.dataDisk?.path : nil
        }
        guard let path = backing ?? nil else { return nil }
        return await Self.blocking { SuperblockMarks(path: path) }
    }
}

/// By what a volume is looked for.
enum VolumeMark: Sendable, CustomStringConvertible {
    case label(String)
    /// Lower case, with dashes.
    case uuid(String)

    var description: String {
        switch self {
        case .label(let label): "the label \(label)"
        case .uuid(let uuid): "the UUID \(uuid)"
        }
    }
}

/// Label and UUID of the volume on a device.
struct SuperblockMarks: Sendable {
    var label: String
    var uuid: String

    /// Nil when the device cannot be read or holds no volume. Waits for the device.
    init?(path: String) {
        guard let disk = try? DiskFile.open(path: path, access: .readOnly, claim: .none, direct: false) else {
            return nil
        }
        // Enough for the third block at every block size. Spec: ocfs2-disk 2.1.
        var bytes = [UInt8](repeating: 0, count: Int(min(12288, disk.capacity)))
        let isRead = bytes.withUnsafeMutableBytes { (try? disk.read(at: 0, into: $0)) != nil }
        guard isRead, let superblock = try? bytes.withUnsafeBytes({ try Superblock.probe($0) }) else { return nil }
        label = superblock.label
        uuid = Self.text(superblock.uuid)
    }

    /// As blkid writes it: 8-4-4-4-12 digits in lower case.
    private static func text(_ uuid: FixedBytes16) -> String {
        var text = ""
        for index in 0..<16 {
            if [4, 6, 8, 10].contains(index) { text += "-" }
            let digits = String(uuid[index], radix: 16)
            text += digits.count == 1 ? "0" + digits : digits
        }
        return text
    }

    func matches(_ mark: VolumeMark) -> Bool {
        switch mark {
        case .label(let label): label == self.label
        case .uuid(let uuid): uuid == self.uuid
        }
    }
}

/// Which block device a device node is.
struct BlockDeviceNumber: Equatable {
    private let number: dev_t

    /// Nil for anything else.
    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & Glibc.S_IFMT == Glibc.S_IFBLK else { return nil }
        number = status.st_rdev
    }
}

/// The block devices of this machine.
enum BlockDeviceScan {
    /// The first device, in the kernel's order, whose volume has the mark. Waits for devices.
    static func first(matching mark: VolumeMark) -> String? {
        guard let bytes = try? FileConfigurationSource().read("/proc/partitions") else { return nil }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ")
            guard fields.count == 4, Int(fields[0]) != nil else { continue }
            let path = "/dev/\(fields[3])"
            if let marks = SuperblockMarks(path: path), marks.matches(mark) { return path }
        }
        return nil
    }
}

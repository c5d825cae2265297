internal import Configuration
internal import Glibc
internal import LinuxReactor
internal import MetadataTools
internal import Pairing

/// What a set-up looks at on this machine. Blocking; changes nothing.
enum HostFindings {
    /// Ports of ``PairPlan/ports`` (and `port`) that somebody listens on at `address`.
    static func busyPorts(_ address: String, also port: Int?) -> [Int] {
        (Array(PairPlan.ports) + (port.map { [$0] } ?? [])).filter { !isFree($0, on: address) }
    }

    /// Whether a listener could be bound now.
    static func isFree(_ port: Int, on address: String) -> Bool {
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = UInt16(port).bigEndian
        guard inet_pton(AF_INET, address, &place.sin_addr) == 1 else { return false }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let isBound = withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        // A bound socket that listens already shows itself at listen(2) only.
        return isBound && listen(descriptor, 1) == 0
    }

    /// Minors that the kernel's own DRBD has up.
    static func kernelMinors() -> [Int] {
        guard let bytes = try? FileConfigurationSource().read("/proc/drbd") else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count >= 2, words[1].hasPrefix("cs:"), words[0].hasSuffix(":") else { return nil }
            return Int(words[0].dropLast())
        }
    }

    /// Resources that the kernel's own DRBD has up.
    static func kernelResources() -> [String] {
        FileConfigurationSource().glob("/sys/kernel/debug/drbd/resources/*").compactMap {
            $0.split(separator: "/").last.map(String.init)
        }
    }

    /// Why nothing can be mounted there; nil if it can.
    ///
    /// - Parameter path: `directory` as this process sees it.
    static func problem(ofMountPoint directory: String, path: String, fstab: String?) -> String? {
        if let line = fstab.flatMap({ PairFiles.fstabLine(for: directory, in: $0) }) {
            return "\(directory) has a line in fstab already: \(line)"
        }
        if let mounts = try? MountRecord.all(), let mount = mounts.last(where: { $0.directory == path }) {
            return "\(mount.source) is mounted on \(directory): choose another place, or unmount it"
        }
        var facts = stat()
        guard stat(path, &facts) == 0 else {
            return errno == ENOENT ? nil : "\(directory): \(String(cString: strerror(errno)))"
        }
        guard facts.st_mode & Glibc.S_IFMT == Glibc.S_IFDIR else { return "\(directory) is no directory" }
        guard let listing = opendir(path) else { return "\(directory): \(String(cString: strerror(errno)))" }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { return "\(directory) is not empty: what is in it would be hidden" }
        }
        return nil
    }

    /// Bytes that a new file in `directory` could have.
    static func freeBytes(in directory: String) -> UInt64 {
        var facts = statvfs()
        guard statvfs(directory, &facts) == 0 else { return 0 }
        return UInt64(facts.f_bavail) * UInt64(facts.f_frsize)
    }

    enum DeviceFinding {
        case usable(byteCount: UInt64)
        /// Holds something that nobody has said may be lost.
        case holds(String)
        case refused(String)
    }

    /// A device that is there already, or a file.
    static func device(_ path: String) -> DeviceFinding {
        let disk: DiskFile
        do throws(SystemError) {
            disk = try DiskFile.open(path: path, access: .readWrite)
        } catch {
            switch error.code {
            case EBUSY: return .refused("\(path) is in use: by a mount, a running resource or another program")
            case ENOTBLK: return .refused("\(path) is neither a block device nor a file")
            default: return .refused("\(error)")
            }
        }
        // Both ends: a filesystem begins at the start, metadata of a replication lie at the end.
        let (start, end): ([UInt8], [UInt8])
        do throws(SystemError) {
            start = try read(disk, at: 0, count: min(disk.capacity, UInt64(ExistingData.scannedByteCount)))
            let count = min(disk.capacity, 64 << 10)
            end = try read(disk, at: disk.capacity - count, count: count)
        } catch {
            return .refused("\(error)")
        }
        if let found = ExistingData.recognise(start) { return .holds(found.name) }
        if end.contains(where: { $0 != 0 }) { return .holds("something at its end, perhaps metadata of a replication") }
        return .usable(byteCount: disk.capacity)
    }

    private static func read(_ disk: DiskFile, at offset: UInt64, count: UInt64) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(count))
        let outcome: Result<Void, SystemError> = bytes.withUnsafeMutableBytes { bytes in
            do throws(SystemError) {
                return .success(try disk.read(at: offset, into: bytes))
            } catch {
                return .failure(error)
            }
        }
        try outcome.get()
        return bytes
    }

    static func text(of path: String) -> String? {
        (try? FileConfigurationSource().read(path)).map { String(decoding: $0, as: UTF8.self) }
    }
}

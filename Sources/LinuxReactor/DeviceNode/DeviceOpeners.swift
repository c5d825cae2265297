internal import CYoke
internal import Glibc

/// Who else has a block device open.
///
/// An exclusive open tells of mounts, swap and volume managers, but not of a program that just reads and writes, nor of
/// what it left in the page cache. The kernel counts openers and does not tell; `/proc` does, for the processes that
/// this one may see: as root all of its own namespace of processes.
package enum DeviceOpeners {
    /// The number of a process other than this one that has the device at `path` open.
    package static func another(of path: String) -> Int? {
        var device = stat()
        guard stat(path, &device) == 0, device.st_mode & S_IFMT == S_IFBLK else { return nil }
        let own = Int(getpid())
        return numbers(in: "/proc").first { $0 != own && holds($0, device.st_rdev) }
    }

    private static func holds(_ process: Int, _ device: dev_t) -> Bool {
        let directory = "/proc/\(process)/fd"
        return numbers(in: directory).contains { number in
            let path = "\(directory)/\(number)"
            // Only of device nodes are the attributes asked for: a filesystem that hangs must not hold this up.
            guard let target = target(of: path), target.contains("/dev/") else { return false }
            var file = stat()
            return stat(path, &file) == 0 && file.st_mode & S_IFMT == S_IFBLK && file.st_rdev == device
        }
    }

    private static func target(of path: String) -> String? {
        withUnsafeTemporaryAllocation(byteCount: Int(PATH_MAX), alignment: 1) { buffer in
            let count = readlink(path, buffer.baseAddress!.assumingMemoryBound(to: CChar.self), buffer.count)
            return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
        }
    }

    /// The entries of a directory that are numbers, ascending.
    private static func numbers(in directory: String) -> [Int] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var found: [Int] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let number = Int(name) { found.append(number) }
        }
        return found.sorted()
    }
}

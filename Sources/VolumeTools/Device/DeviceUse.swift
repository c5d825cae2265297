internal import CYoke
internal import Glibc

/// Who uses a device or image file, as far as the kernel's tables tell.
enum DeviceUse {
    /// In words; nil when nobody is found.
    static func holder(of path: String, _ status: stat) -> String? {
        if yoke_is_block_device(status.st_mode) != 0 {
            let number = "\(yoke_device_major(status.st_rdev)):\(yoke_device_minor(status.st_rdev))"
            return mountPoint(ofDevice: number).map { "a mount on \($0)" }
        }
        return loopDevice(of: status).map { "loop device \($0)" }
    }

    /// Field 3 of a line of mountinfo is the device, field 5 the mount point.
    private static func mountPoint(ofDevice number: String) -> String? {
        for line in text(ofFile: "/proc/self/mountinfo").split(separator: "\n") {
            let fields = line.split(separator: " ", maxSplits: 5)
            if fields.count > 4, fields[2] == number { return String(fields[4]) }
        }
        return nil
    }

    /// A loop device whose backing file is this file.
    private static func loopDevice(of status: stat) -> String? {
        for name in entries(ofDirectory: "/sys/block") where name.hasPrefix("loop") {
            let file = text(ofFile: "/sys/block/\(name)/loop/backing_file")
            var backing = Glibc.stat()
            guard stat(String(file.prefix { $0 != "\n" }), &backing) == 0 else { continue }
            if backing.st_dev == status.st_dev && backing.st_ino == status.st_ino { return "/dev/\(name)" }
        }
        return nil
    }

    private static func entries(ofDirectory path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                names.append(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
            }
        }
        return names.sorted()
    }

    /// The whole file; empty when it cannot be read.
    static func text(ofFile path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            content += buffer[..<count]
        }
        return String(decoding: content, as: UTF8.self)
    }
}

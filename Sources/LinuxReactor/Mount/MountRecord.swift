internal import Glibc

/// One mount of this process's mount namespace, from `/proc/self/mountinfo`. Touches no mount.
package struct MountRecord: Equatable, Sendable {
    /// Device numbers of what is mounted.
    package var major: Int
    package var minor: Int
    package var directory: String
    /// With the subtype, as `fuse.ocfs2`.
    package var type: String
    package var source: String

    /// All of them, the latest last.
    package static func all() throws(SystemError) -> [MountRecord] {
        parse(try fileText("/proc/self/mountinfo"))
    }

    /// Lines that are not understood are left out.
    package static func parse(_ text: String) -> [MountRecord] {
        text.split(separator: "\n").compactMap { line in
            let halves = line.split(separator: " - ", maxSplits: 1)
            guard halves.count == 2 else { return nil }
            let left = halves[0].split(separator: " ")
            let right = halves[1].split(separator: " ")
            guard left.count >= 6, right.count >= 2 else { return nil }
            let numbers = left[2].split(separator: ":").compactMap { Int($0) }
            guard numbers.count == 2 else { return nil }
            return MountRecord(
                major: numbers[0], minor: numbers[1], directory: unescaped(left[4]), type: String(right[0]),
                source: unescaped(right[1]))
        }
    }

    /// Blank, tab, newline and backslash are written as three octal digits.
    static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        let input = Array(text.utf8)
        var index = 0
        while index < input.count {
            if input[index] == 0x5c, index + 3 < input.count,
                let value = UInt8(String(decoding: input[index + 1...index + 3], as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                index += 4
            } else {
                bytes.append(input[index])
                index += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Settings of a mount that the kernel offers in sysfs only. Spec: fuse 2, 6.
package enum MountTuning {
    /// How far the kernel reads ahead, in KiB. INIT alone leaves it at 128.
    package static func setReadAhead(kibibytes: Int, minor: Int) throws(SystemError) {
        try writeFile("/sys/class/bdi/0:\(minor)/read_ahead_kb", "\(kibibytes)\n")
    }
}

/// The text of a file of `/proc` or `/sys`, which has no size before it is read.
private func fileText(_ path: String) throws(SystemError) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SystemError(operation: "open \(path)", code: errno) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = retryingInterrupted { read(descriptor, &chunk, chunk.count) }
        guard count >= 0 else { throw SystemError(operation: "read \(path)", code: Int32(-count)) }
        if count == 0 { return String(decoding: bytes, as: UTF8.self) }
        bytes += chunk[..<count]
    }
}

private func writeFile(_ path: String, _ text: String) throws(SystemError) {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SystemError(operation: "open \(path)", code: errno) }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    let count = retryingInterrupted { write(descriptor, bytes, bytes.count) }
    guard count == bytes.count else {
        throw SystemError(operation: "write \(path)", code: count < 0 ? Int32(-count) : EIO)
    }
}

internal import Configuration
internal import Glibc

/// Where devices are mounted, from `/proc/mounts`.
enum MountTable {
    /// `/mnt ext4 20G 5.1G 14G 27%` for each mounted path.
    static func texts(of paths: [Int: String]) -> [Int: String] {
        guard let bytes = try? FileConfigurationSource().read("/proc/mounts") else { return [:] }
        var texts: [Int: String] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: " ").map(String.init)
            guard fields.count >= 3, let minor = paths.first(where: { $0.value == fields[0] })?.key else { continue }
            texts[minor] = "\(fields[1]) \(fields[2])" + usage(of: fields[1])
        }
        return texts
    }

    private static func usage(of directory: String) -> String {
        var facts = statvfs()
        guard statvfs(directory, &facts) == 0, facts.f_blocks > 0 else { return "" }
        let unit = UInt64(facts.f_frsize)
        let used = UInt64(facts.f_blocks - facts.f_bfree)
        let available = UInt64(facts.f_bavail)
        let percent = (used * 100 + used + available - 1) / max(1, used + available)
        let sizes = [UInt64(facts.f_blocks), used, available].map { short($0 * unit) }
        return " " + sizes.joined(separator: " ") + " \(percent)%"
    }

    /// As `df -h`: two digits and a letter.
    private static func short(_ bytes: UInt64) -> String {
        let letters = ["", "K", "M", "G", "T", "P"]
        var index = 0
        var scale: UInt64 = 1
        while index < letters.count - 1, bytes / scale >= 1024 {
            scale *= 1024
            index += 1
        }
        let tenths = (bytes * 10 + scale - 1) / scale
        return tenths < 100 && index > 0
            ? "\(tenths / 10).\(tenths % 10)\(letters[index])" : "\((tenths + 9) / 10)\(letters[index])"
    }
}

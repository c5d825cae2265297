internal import Configuration
internal import FileSystem
internal import LinuxReactor

/// Options of a mount, as given behind `-o`.
///
/// ``MountOptionTable`` has the names. What is not known is refused by name, since a misspelt option would be believed to
/// hold.
struct MountWords {
    /// Why a list of options is refused.
    struct Refusal: Error, Equatable {
        var text: String
    }

    var volume = MountOptions()
    var heartbeat = HeartbeatOption.unspecified
    var flags: FUSEMountOptions.Flags = [.relativeAccessTimes]
    /// Options that were not known, in the order given; filled only if they may be ignored (`-s`).
    var ignored: [String] = []

    private static let flagNames: [String: FUSEMountOptions.Flags] = [
        "nosuid": .noSetUserID, "nodev": .noDevices, "noexec": .noExecute,
    ]

    /// - Parameter mayIgnore: options that are not known are noted instead of refused (`mount -s`).
    init(_ text: String, mayIgnore: Bool = false) throws(Refusal) {
        for word in text.split(separator: ",") where !word.isEmpty {
            switch MountOptionTable.support(of: word) {
            case .ignored: continue
            case .refused(let reason): throw Refusal(text: "mount option '\(word)': \(reason)")
            case .served, nil: break
            }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let (name, value) = (parts[0], parts.count > 1 ? parts[1] : nil)
            let isKnown: Bool
            if let value {
                isKnown = try take(name, value)
            } else {
                isKnown = take(name)
            }
            if isKnown || name.hasPrefix("x-") || name.hasPrefix("X-") { continue }
            guard mayIgnore else { throw Refusal(text: "unknown mount option '\(word)'") }
            ignored.append(String(word))
        }
    }

    private mutating func take(_ name: String) -> Bool {
        if let flag = Self.flagNames[name] {
            flags.insert(flag)
            return true
        }
        switch name {
        case "ro":
            volume.isReadOnly = true
            flags.insert(.readOnly)
        case "noatime":
            volume.accessTimes = .never
            flags.remove(.relativeAccessTimes)
            flags.insert(.noAccessTimes)
        case "nodiratime":
            volume.directoriesKeepAccessTimes = true
            flags.insert(.noDirectoryAccessTimes)
        case "relatime":
            volume.accessTimes = .relative
        case "strictatime":
            volume.accessTimes = .strict
            flags.remove(.relativeAccessTimes)
            flags.insert(.strictAccessTimes)
        case "sync":
            volume.isSynchronous = true
            flags.insert(.synchronous)
        case "async":
            volume.isSynchronous = false
            flags.remove(.synchronous)
        case "dirsync":
            volume.hasSynchronousDirectories = true
            flags.insert(.directorySynchronous)
        case "localflocks": volume.hasLocalFileLocks = true
        case "acl": volume.acl = true
        case "noacl": volume.acl = false
        case "user_xattr": volume.userXattr = true
        case "nouser_xattr": volume.userXattr = false
        default: return false
        }
        return true
    }

    private mutating func take(_ name: String, _ value: String) throws(Refusal) -> Bool {
        switch (name, value) {
        case ("errors", "remount-ro"): volume.errors = .remountReadOnly
        case ("errors", "continue"): volume.errors = .continue
        case ("errors", "panic"): volume.errors = .panic
        case ("data", "ordered"): volume.isDataOrdered = true
        case ("data", "writeback"): volume.isDataOrdered = false
        case ("commit", _): volume.commitSeconds = try Self.number(name, value, 0...3600, zeroMeans: 5)
        case ("atime_quantum", _): volume.atimeQuantumSeconds = try Self.number(name, value, 0...Int(Int32.max))
        case ("localalloc", _): volume.localAllocMiB = try Self.number(name, value, 0...4096)
        case ("slot", _), ("preferred_slot", _): volume.preferredSlot = try Self.number(name, value, 0...254)
        case ("heartbeat", "local"), ("hb", "local"): heartbeat = .local
        case ("heartbeat", "none"), ("hb", "none"): heartbeat = .none
        case ("errors", _), ("data", _), ("barrier", _), ("coherency", _), ("heartbeat", _), ("hb", _):
            throw Refusal(text: "mount option '\(name)' cannot be '\(value)'")
        default: return false
        }
        return true
    }

    private static func number(
        _ name: String, _ value: String, _ range: ClosedRange<Int>, zeroMeans: Int? = nil
    ) throws(Refusal) -> Int {
        guard let number = Int(value), range.contains(number) else {
            throw Refusal(
                text: "mount option '\(name)' must be \(range.lowerBound) to \(range.upperBound), not '\(value)'")
        }
        return number == 0 ? zeroMeans ?? 0 : number
    }
}

/// What shall be mounted where.
struct MountRequest {
    var source: String
    var directory: String
    var words: MountWords
}

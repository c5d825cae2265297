/// `init NAME --size SIZE --mount DIRECTORY --address ADDRESS [--disk DEVICE] [--sparse] [--port PORT] [--timeout TIME]
/// [--overwrite]`; `init NAME` follows one that waits, `init --cancel NAME` ends it.
package struct InitRequest: Equatable, Sendable {
    package enum Action: Equatable, Sendable {
        case begin(Wish)
        case follow
        case cancel
    }

    /// What shall be made.
    package struct Wish: Equatable, Sendable {
        /// Nil: as large as the device.
        package var byteCount: UInt64?
        package var mountPoint: String
        package var address: String
        package var disk: DiskWish
        package var port: Int?
        package var timeoutSeconds: Int
    }

    /// Which disk a host shall give.
    package struct DiskWish: Equatable, Sendable {
        /// Nil: a new file.
        package var device: String?
        package var isSparse: Bool
        /// What the device holds may be lost.
        package var mayOverwrite: Bool
    }

    package static let timeoutSecondsDefault = 3600

    package var resource: String
    package var action: Action

    package init(words: [String]) throws(PairingRefusal) {
        let scanner = try WordScanner(
            words, values: ["--size", "--mount", "--address", "--disk", "--port", "--timeout"],
            flags: ["--sparse", "--overwrite", "--cancel"])
        guard scanner.plain.count == 1 else {
            throw PairingRefusal("usage: yoke init NAME --size SIZE --mount DIRECTORY --address ADDRESS")
        }
        resource = scanner.plain[0]
        if let problem = PlainText.problem(ofResource: resource) { throw PairingRefusal(problem) }
        if scanner.flags.contains("--cancel") {
            action = .cancel
        } else if scanner.values.isEmpty, scanner.flags.isEmpty {
            action = .follow
        } else {
            action = .begin(try Wish(scanner))
        }
    }
}

extension InitRequest.Wish {
    fileprivate init(_ scanner: WordScanner) throws(PairingRefusal) {
        disk = try InitRequest.DiskWish(scanner)
        if let text = scanner.values["--size"] {
            guard let size = ByteSize.parse(text) else {
                throw PairingRefusal("--size \(PlainText.shown(text)): a number with K, M, G or T is wanted, as 10G")
            }
            // Whole sectors of 4 KiB.
            byteCount = size & ~4095
        } else if disk.device == nil {
            throw PairingRefusal("--size is missing: how large shall the volume be? for example --size 10G")
        }
        guard let mount = scanner.values["--mount"] else {
            throw PairingRefusal("--mount is missing: where shall it be mounted? for example --mount /srv/web")
        }
        mountPoint = mount.count > 1 && mount.hasSuffix("/") ? String(mount.dropLast()) : mount
        if let problem = PlainText.problem(ofMountPoint: mountPoint) { throw PairingRefusal(problem) }
        guard let address = scanner.values["--address"] else {
            throw PairingRefusal("--address is missing: the address of this host that the other one reaches")
        }
        if let problem = PlainText.problem(ofAddress: address) { throw PairingRefusal(problem) }
        self.address = address
        if let text = scanner.values["--port"] {
            guard let number = Int(text), (1...65535).contains(number) else {
                throw PairingRefusal("--port \(PlainText.shown(text)): 1 to 65535")
            }
            port = number
        }
        guard let seconds = DurationText.seconds(scanner.values["--timeout"] ?? "1h"), seconds > 0 else {
            throw PairingRefusal("--timeout: seconds, or a number with s, m, h or d, at most 7d")
        }
        timeoutSeconds = seconds
    }
}

extension InitRequest.DiskWish {
    init(_ scanner: WordScanner) throws(PairingRefusal) {
        device = scanner.values["--disk"]
        isSparse = scanner.flags.contains("--sparse")
        mayOverwrite = scanner.flags.contains("--overwrite")
        if let device {
            if let problem = PlainText.problem(ofDisk: device) { throw PairingRefusal(problem) }
            if isSparse { throw PairingRefusal("--sparse is for a file; \(device) is there already") }
        }
    }
}

/// `90`, `10m`, `1h`, `2d`.
package enum DurationText {
    /// Nil for what is none, or more than seven days.
    package static func seconds(_ text: String) -> Int? {
        let units: [(Character, Int)] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]
        let unit = units.first { $0.0 == text.last }
        let digits = unit == nil ? Substring(text) : text.dropLast()
        guard !digits.isEmpty, digits.utf8.count <= 6, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(digits)
        else { return nil }
        let seconds = number * (unit?.1 ?? 1)
        return seconds <= 7 * 86400 ? seconds : nil
    }

    /// `1 h`, `10 min`, `45 s`.
    package static func text(_ seconds: Int) -> String {
        if seconds >= 3600, seconds % 3600 == 0 { return "\(seconds / 3600) h" }
        if seconds >= 60, seconds % 60 == 0 { return "\(seconds / 60) min" }
        return "\(seconds) s"
    }
}

import OCFS2Layout

/// The command line of mkfs.ocfs2. Spec: ocfs2-disk-2 20.3.
struct FormatCommandLine: Equatable {
    var options = FormatOptions()
    var uuid: FixedBytes16?
    var device = ""
    var isQuiet = false
    var isForced = false
    var isDryRun = false
    /// `-x`: overwrites without asking.
    var skipsQuestions = false
    var showsVersion = false

    enum Failure: Error, Equatable {
        /// The usage follows; the text, if there is one, goes before it.
        case usage(String?)
        case refused(String)
    }

    static let usage = """
        usage: mkfs.ocfs2 [-b block-size] [-C cluster-size] [-J journal-options]
        \t\t[-L volume-label] [-M mount-type] [-N number-of-node-slots]
        \t\t[-T filesystem-type] [-U uuid] [-FnqvVx] [--dry-run]
        \t\t[--fs-feature-level=[default|max-compat|max-features]]
        \t\t[--fs-features=[[no]sparse,...]]
        \t\t[--cluster-stack=stackname] [--cluster-name=clustername]
        \t\t[--no-backup-super] device [blocks-count]

        """

    static let table: [OptionScanner.Option] = [
        .init("b", "block-size", value: true), .init("C", "cluster-size", value: true), .init("F", "force"),
        .init("J", "journal-options", value: true), .init("L", "label", value: true), .init("M", "mount", value: true),
        .init("N", "node-slots", value: true), .init("T", value: true), .init("U", "uuid", value: true),
        .init("H", "heartbeat-device"), .init("n", "dry-run"), .init("q", "quiet"), .init("v", "verbose"),
        .init("V", "version"), .init("x", "no-prompt"), .init(nil, "fs-features", value: true),
        .init(nil, "fs-feature-level", value: true), .init(nil, "cluster-stack", value: true),
        .init(nil, "cluster-name", value: true), .init(nil, "global-heartbeat"), .init(nil, "no-backup-super"),
        .init(nil, "discard"), .init(nil, "nodiscard"),
    ]

    init(_ arguments: [String]) throws(Failure) {
        var scanner = OptionScanner(arguments, options: Self.table)
        var operands: [String] = []
        while true {
            let item: OptionScanner.Item?
            do throws(OptionScanner.Failure) {
                item = try scanner.next()
            } catch {
                throw .usage(error.text)
            }
            guard let item else { break }
            switch item {
            case .operand(let word): operands.append(word)
            case .option(let name, let value): try apply(name, value ?? "")
            }
        }
        if showsVersion { return }
        guard (1...2).contains(operands.count) else { throw .usage(nil) }
        device = operands[0]
        if operands.count == 2 {
            guard let blocks = UInt64(operands[1]), blocks > 0 else {
                throw .refused("Block count bad - \(operands[1])")
            }
            options.blockCount = blocks
        }
    }

    private mutating func apply(_ name: String, _ value: String) throws(Failure) {
        switch name {
        case "block-size":
            guard let size = Self.byteCount(value).flatMap(Int.init(exactly:)) else {
                throw .refused("Specify a blocksize between 512 and 4096 in powers of 2")
            }
            options.blockSize = size
        case "cluster-size":
            guard let size = Self.byteCount(value).flatMap(Int.init(exactly:)) else {
                throw .refused("Specify a clustersize between 4096 and 1048576 in powers of 2")
            }
            options.clusterSize = size
        case "node-slots":
            guard let slots = Int(value) else { throw .refused("Bad number of node slots: \(value)") }
            options.slots = slots
        case "label":
            guard value.utf8.count < 64 else {
                throw .refused("Volume label too long: must be less than 64 characters")
            }
            options.label = value
        case "uuid":
            guard let uuid = FixedBytes16(hexadecimalText: value) else { throw .refused("Invalid UUID specified") }
            self.uuid = uuid
        case "force": isForced = true
        case "dry-run": isDryRun = true
        case "quiet": isQuiet = true
        case "no-prompt": skipsQuestions = true
        case "version": showsVersion = true
        // Volumes are not discarded before they are made, and there is nothing more to tell.
        case "verbose", "discard", "nodiscard": break
        default: try applyKind(name, value)
        }
    }

    /// The options that say what kind of volume it shall be.
    private mutating func applyKind(_ name: String, _ value: String) throws(Failure) {
        switch name {
        case "journal-options": try applyJournal(value)
        case "mount":
            guard value == "local" || value == "cluster" else { throw .refused("Invalid mount type \(value)") }
            options.isLocal = value == "local"
        case "T":
            guard let usage = FormatOptions.Usage(rawValue: value) else {
                throw .refused("Bad fs type option specified.")
            }
            options.usage = usage
        case "fs-features":
            options.features += value.split(separator: ",").map(String.init)
        case "fs-feature-level":
            guard let level = FormatOptions.FeatureLevel(rawValue: value) else {
                throw .refused("Unsupported feature(s) found when parsing fs-feature-level string: \(value)")
            }
            options.featureLevel = level
        case "cluster-stack": options.clusterStack = value
        case "cluster-name": options.clusterName = value
        case "no-backup-super": options.hasBackupSuperblocks = false
        case "global-heartbeat":
            throw .refused(
                "Global heartbeat is not supported: a volume beats in its own region. Leave --global-heartbeat out.")
        case "heartbeat-device":
            throw .refused("Heartbeat devices are not supported: a volume beats in its own region. Leave -H out.")
        default: throw .usage("unrecognized option '--\(name)'")
        }
    }

    private mutating func applyJournal(_ value: String) throws(Failure) {
        for word in value.split(separator: ",") {
            if word.hasPrefix("size="), let size = Self.byteCount(String(word.dropFirst(5))) {
                options.journalByteCount = size
            } else if word == "block64" || word == "noblock32" {
                options.has64BitJournal = true
            } else if word == "block32" || word == "noblock64" {
                options.has64BitJournal = false
            } else {
                throw .refused(
                    """
                    Bad journal options specified. Valid journal options are:
                    \tsize=<journal size>
                    \t[no]block32
                    \t[no]block64

                    """)
            }
        }
    }

    /// A number with a unit of 1024 behind it: `4096`, `4k`, `64M`, `2G`, `1T`.
    static func byteCount(_ text: String) -> UInt64? {
        let units: [Character: UInt64] = ["k": 10, "m": 20, "g": 30, "t": 40, "b": 0]
        var digits = text
        var shift: UInt64 = 0
        if let last = text.last?.lowercased().first, let unit = units[last] {
            shift = unit
            digits.removeLast()
        }
        guard let number = UInt64(digits), digits.first != "+" else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        return overflow ? nil : bytes
    }
}

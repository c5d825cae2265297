internal import DRBDLayout

/// The words of a `drbdmeta` call, checked. Spec: drbd-config-and-tools 14.
struct MetadataCommandLine: Equatable {
    enum Command: String, CaseIterable {
        case createMetadata = "create-md"
        case wipe = "wipe-md"
        case dump = "dump-md"
        case restore = "restore-md"
        case verifyDump = "verify-dump"
        case applyActivityLog = "apply-al"
        case showGenerations = "show-gi"
        case getGenerations = "get-gi"
        case setGenerations = "set-gi"
        case outdate
        case invalidate
        case diskState = "dstate"
        case checkResize = "check-resize"
        case readDeviceUUID = "read-dev-uuid"
        case writeDeviceUUID = "write-dev-uuid"

        /// Reads only, and may run while the device is attached.
        var isReading: Bool {
            switch self {
            case .dump, .verifyDump, .showGenerations, .getGenerations, .diskState, .readDeviceUUID: true
            case .createMetadata, .wipe, .restore, .applyActivityLog, .setGenerations, .outdate, .invalidate,
                .checkResize, .writeDeviceUUID:
                false
            }
        }
    }

    var isForced = false
    /// Nil for the device `-`.
    var minor: Int?
    var metadataPath = ""
    var place = MetadataPlacement.internal
    var command = Command.dump
    /// What follows the command and is no option.
    var operands: [String] = []
    /// Geometry of the activity log for create-md.
    var striping = ActivityLogStriping.standard
    var peerRequestSizeMax: UInt32 = 0
    /// The call itself, for the head of a dump.
    var words: [String] = []

    init(parsing arguments: [String]) throws(MetadataTool.Failure) {
        words = arguments
        var rest: [String] = []
        var index = 0
        while index < arguments.count {
            let word = arguments[index]
            index += 1
            switch word {
            case "--force", "-f": isForced = true
            case "--verbose", "-v": break
            case "--":
                rest += arguments[index...]
                index = arguments.count
            default:
                if word.hasPrefix("--") {
                    try takeOption(word, arguments, &index)
                } else {
                    rest.append(word)
                }
            }
        }
        try takeOperands(rest)
    }

    private mutating func takeOption(
        _ word: String, _ arguments: [String], _ index: inout Int
    ) throws(MetadataTool.Failure) {
        let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
        var value = parts.count == 2 ? parts[1] : nil
        if value == nil, index < arguments.count {
            value = arguments[index]
            index += 1
        }
        guard let value, let number = UInt32(value) else {
            throw Self.usage("option '\(parts[0])' needs a number")
        }
        switch parts[0] {
        case "--al-stripes":
            striping = try Self.striping(stripes: number, stripeBlocks: striping.stripeBlocks)
        case "--al-stripe-size-kB":
            guard number % 4 == 0 else { throw Self.outOfRange(parts[0], value, "a multiple of 4") }
            striping = try Self.striping(stripes: striping.stripes, stripeBlocks: number / 4)
        case "--peer-max-bio-size":
            guard number <= 1 << 20 else { throw Self.outOfRange(parts[0], value, "0..1048576") }
            peerRequestSizeMax = number
        default:
            throw Self.usage("unknown option '\(parts[0])'")
        }
    }

    private mutating func takeOperands(_ words: [String]) throws(MetadataTool.Failure) {
        guard words.count >= 3 else { throw Self.usage("too few arguments") }
        try takeDevice(words[0])
        guard words[1] == "v08" || words[1] == "08" else {
            throw MetadataTool.Failure(
                "Meta data format '\(words[1])' is not served: Yoke keeps version v08, which DRBD 8.4 uses too.",
                exitStatus: 20)
        }
        guard words.count >= 5 else { throw Self.usage("too few arguments") }
        metadataPath = words[2]
        switch words[3] {
        case "internal", "flex-internal": place = .internal
        case "flex-external", "flexible": place = .flexibleExternal
        default:
            guard let number = UInt32(words[3]), (0...255).contains(number) else {
                throw Self.usage("'\(words[3])' is not internal, flex-internal, flex-external or an index")
            }
            place = .indexed(number)
        }
        guard let command = Command(rawValue: words[4]) else {
            throw Self.usage("Unknown command '\(words[4])'")
        }
        self.command = command
        operands = Array(words[5...])
        // The 8.3 order puts the answer to the question last.
        if command == .createMetadata, operands.first == "--force" { isForced = true }
    }

    private mutating func takeDevice(_ word: String) throws(MetadataTool.Failure) {
        if word == "-" { return }
        let digits = word.hasPrefix("/dev/drbd") ? String(word.dropFirst("/dev/drbd".count)) : word
        guard let number = Int(digits), (0...1_048_575).contains(number) else {
            throw Self.usage("'\(word)' is neither /dev/drbdN, a minor number, nor '-'")
        }
        minor = number
    }

    private static func striping(
        stripes: UInt32, stripeBlocks: UInt32
    ) throws(MetadataTool.Failure) -> ActivityLogStriping {
        guard stripes > 0, stripeBlocks > 0,
            let striping = ActivityLogStriping(stripes: stripes, stripeBlocks: stripeBlocks)
        else {
            throw MetadataTool.Failure(
                "invalid activity log: \(stripes) stripes of \(stripeBlocks) blocks of 4 kB; "
                    + "it needs 32 kB to 16 GB in all", exitStatus: 10)
        }
        return striping
    }

    private static func outOfRange(_ name: String, _ value: String, _ range: String) -> MetadataTool.Failure {
        MetadataTool.Failure("invalid \(name.dropFirst(2)) (\(value)), expected \(range)", exitStatus: 10)
    }

    static func usage(_ problem: String) -> MetadataTool.Failure {
        let commands = Command.allCases.map(\.rawValue).joined(separator: " | ")
        return MetadataTool.Failure(
            """
            drbdmeta: \(problem)

            USAGE: drbdmeta [--force] [-v] DEVICE v08 PATH {internal|flex-internal|flex-external|INDEX} COMMAND [ARGS]
            where DEVICE is /dev/drbdN, a minor number, or -
            and COMMAND is one of: \(commands)
            """, exitStatus: 20)
    }
}

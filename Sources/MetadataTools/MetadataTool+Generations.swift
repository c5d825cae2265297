internal import DRBDLayout

// Generation UUIDs and flags: show, set, and the small edits of single flags. Spec: drbd-config-and-tools 12.1, 14.
extension MetadataTool {
    func showGenerations(_ area: MetadataArea, withDrawing: Bool) throws(Failure) -> Int32 {
        let superblock = try area.superblock()
        let text = superblock.generationText
        guard withDrawing else {
            console.writeOutput(text.line + "\n")
            return 0
        }
        console.writeOutput(text.drawing)
        console.writeOutput("meta-data: \(superblock.isClean ? "clean" : "need apply-al")\n")
        if superblock.deviceSectors == 0 {
            console.writeOutput("zero size device -- never seen peer yet?\n")
        } else {
            let size = Self.humanSize(sectors: superblock.deviceSectors)
            console.writeOutput("last agreed size: \(size) (\(superblock.deviceSectors) sectors)\n")
            console.writeOutput("last agreed max bio size: \(superblock.peerRequestByteCountMax) Byte\n")
        }
        return 0
    }

    /// A size in the largest unit that leaves at most four digits, cut: `300 MB`.
    static func humanSize(sectors: UInt64) -> String {
        var number = sectors / 2
        var units = ["KB", "MB", "GB", "TB", "PB"][...]
        while number >= 10_000, units.count > 1 {
            number = (number + 512) >> 10
            units = units.dropFirst()
        }
        return "\(number) \(units.first!)"
    }

    /// `set-gi C:B:H0:H1:flag...`; missing parts keep their old values.
    func setGenerations(_ line: MetadataCommandLine, _ area: MetadataArea) throws(Failure) -> Int32 {
        guard let words = line.operands.first else { throw MetadataCommandLine.usage("set-gi needs the new values") }
        var superblock = try area.superblock()
        let before = superblock.generationText
        var after = before
        for (index, part) in words.split(separator: ":", omittingEmptySubsequences: false).enumerated() {
            if part.isEmpty { continue }
            if index < 4 {
                guard let uuid = UInt64(part, radix: 16) else {
                    throw Failure("'\(part)' is not a number.", exitStatus: 10)
                }
                after.uuids[index] = uuid
            } else if index - 4 < after.flags.count, part == "0" || part == "1" {
                after.flags[index - 4] = part == "1"
            } else {
                throw Failure("'\(part)' is not 0 or 1, or one flag too many.", exitStatus: 10)
            }
        }
        console.writeOutput("previously \(before.line)\nset GI to  \(after.line)\n")
        guard console.confirm("Write new GI to disk?", forced: line.isForced) else {
            throw Failure("Operation cancelled.")
        }
        superblock.generationText = after
        try area.write(superblock)
        return 0
    }

    func outdate(_ area: MetadataArea) throws(Failure) -> Int32 {
        var superblock = try area.superblock()
        guard superblock.flags.contains(.consistent) else {
            throw Failure("Device is inconsistent.", exitStatus: 5)
        }
        superblock.flags.remove(.wasUpToDate)
        try area.write(superblock)
        return 0
    }

    func invalidate(_ area: MetadataArea) throws(Failure) -> Int32 {
        var superblock = try area.superblock()
        superblock.flags.subtract([.consistent, .wasUpToDate])
        superblock.flags.insert(.fullSync)
        try area.write(superblock)
        return 0
    }

    func showDiskState(_ area: MetadataArea) throws(Failure) -> Int32 {
        let flags = try area.superblock().flags
        let state =
            !flags.contains(.consistent)
            ? "Inconsistent"
            : !flags.contains(.wasUpToDate)
                ? "Outdated" : flags.contains(.peerOutdated) ? "UpToDate" : "Consistent"
        console.writeOutput(state + "\n")
        return 0
    }

    func readDeviceUUID(_ area: MetadataArea) throws(Failure) -> Int32 {
        let superblock = try area.superblock()
        console.writeOutput(GenerationText.hexadecimal(superblock.deviceUUID) + "\n")
        return 0
    }

    func writeDeviceUUID(_ line: MetadataCommandLine, _ area: MetadataArea) throws(Failure) -> Int32 {
        guard let word = line.operands.first, let uuid = UInt64(word, radix: 16) else {
            throw Failure("'\(line.operands.first ?? "")' is not a hexadecimal number.", exitStatus: 10)
        }
        var superblock = try area.superblock()
        superblock.deviceUUID = uuid
        try area.write(superblock)
        return 0
    }
}

extension MetadataSuperblock {
    /// Flags in the order of `get-gi`.
    private static let shownFlags: [MetadataFlags] = [
        .consistent, .wasUpToDate, .primaryIndicator, .connectedIndicator, .fullSync, .peerOutdated, .crashedPrimary,
    ]

    var generationText: GenerationText {
        get {
            GenerationText(
                uuids: [current, bitmap, history0, history1], flags: Self.shownFlags.map { flags.contains($0) })
        }
        set {
            (current, bitmap) = (newValue.uuids[0], newValue.uuids[1])
            (history0, history1) = (newValue.uuids[2], newValue.uuids[3])
            for (flag, isSet) in zip(Self.shownFlags, newValue.flags) {
                if isSet { flags.insert(flag) } else { flags.remove(flag) }
            }
        }
    }
}

import Foundation
import LayoutKit
import OCFS2Layout
import Testing

@testable import VolumeTools

/// A volume of mkfs.ocfs2 and the plan made with the same accidents: the same bytes.
@Suite("Beside mkfs.ocfs2", .enabled(if: ClassicTool.isInstalled, "ocfs2-tools is not installed"))
struct PlanTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var size: UInt64
        var arguments: [String]
        var options: @Sendable (inout FormatOptions) -> Void

        var testDescription: String { "\(size >> 20) MiB \(arguments.joined(separator: " "))" }

        init(_ mebibytes: UInt64, _ arguments: String, _ options: @escaping @Sendable (inout FormatOptions) -> Void) {
            size = mebibytes << 20
            self.arguments = arguments.split(separator: " ").map(String.init)
            self.options = options
        }
    }

    static let cases: [Case] = [
        Case(300, "-N 2") { $0.slots = 2 },
        Case(64, "-b 512 -C 4096 -N 2 -J size=4M") {
            ($0.blockSize, $0.clusterSize, $0.slots, $0.journalByteCount) = (512, 4096, 2, 4 << 20)
        },
        Case(1024, "-b 2048 -C 4096 -N 4 -J size=6M") {
            ($0.blockSize, $0.clusterSize, $0.slots, $0.journalByteCount) = (2048, 4096, 4, 6 << 20)
        },
        Case(300, "-b 4096 -C 8192 -N 2 -J size=16M") {
            ($0.blockSize, $0.clusterSize, $0.slots, $0.journalByteCount) = (4096, 8192, 2, 16 << 20)
        },
        Case(700, "-b 4096 -C 131072 -N 2 -J size=5M") {
            ($0.blockSize, $0.clusterSize, $0.slots, $0.journalByteCount) = (4096, 131072, 2, 5 << 20)
        },
        Case(900, "-b 4096 -C 1048576 -N 2 -J size=10M") {
            ($0.blockSize, $0.clusterSize, $0.slots, $0.journalByteCount) = (4096, 1 << 20, 2, 10 << 20)
        },
        Case(1024, "") { _ in },
        Case(10240, "-J size=8M") { $0.journalByteCount = 8 << 20 },
        Case(256, "-M local -L web") { ($0.isLocal, $0.label) = (true, "web") },
        Case(256, "--cluster-stack=o2cb --cluster-name=webcluster") {
            ($0.clusterStack, $0.clusterName) = ("o2cb", "webcluster")
        },
        Case(200, "--fs-features=metaecc") { $0.features = ["metaecc"] },
        Case(200, "--fs-features=noindexed-dirs,norefcount") { $0.features = ["noindexed-dirs", "norefcount"] },
        Case(200, "--fs-features=nodiscontig-bg,noxattr") { $0.features = ["nodiscontig-bg", "noxattr"] },
        Case(200, "--fs-features=noextended-slotmap,nosparse") { $0.features = ["noextended-slotmap", "nosparse"] },
        Case(200, "--fs-features=noinline-data,noindexed-dirs") { $0.features = ["noinline-data", "noindexed-dirs"] },
        Case(200, "--fs-features=noinline-data") { $0.features = ["noinline-data"] },
        Case(200, "--fs-features=noinline-data,metaecc") { $0.features = ["noinline-data", "metaecc"] },
        Case(200, "--fs-feature-level=max-compat") { $0.featureLevel = .maxCompat },
        Case(512, "--fs-feature-level=max-features -J size=4M") {
            ($0.featureLevel, $0.journalByteCount) = (.maxFeatures, 4 << 20)
        },
        Case(3072, "-T datafiles -N 1 -J block64") { ($0.usage, $0.slots, $0.has64BitJournal) = (.datafiles, 1, true) },
        Case(3072, "-T vmstore -J size=4M") { ($0.usage, $0.journalByteCount) = (.vmstore, 4 << 20) },
        Case(600, "-T mail -N 1") { ($0.usage, $0.slots) = (.mail, 1) },
        Case(1100, "-N 40 -b 1024 -J size=4M") {
            ($0.slots, $0.blockSize, $0.journalByteCount) = (40, 1024, 4 << 20)
        },
        Case(1100, "-N 40 -b 512 -C 16384 -J size=4M --fs-features=metaecc") {
            ($0.slots, $0.blockSize, $0.journalByteCount, $0.features) = (40, 512, 4 << 20, ["metaecc"])
            $0.clusterSize = 16384
        },
        Case(102400, "-J size=4M") { $0.journalByteCount = 4 << 20 },
        Case(20480, "-b 512 -J size=16M -N 2") { ($0.blockSize, $0.journalByteCount, $0.slots) = (512, 16 << 20, 2) },
        Case(64, "-N 2 --fs-features=noinline-data,usrquota") {
            ($0.slots, $0.features) = (2, ["noinline-data", "usrquota"])
        },
        Case(1200, "-b 4096 --fs-features=usrquota,grpquota,metaecc -J size=4M") {
            ($0.blockSize, $0.features, $0.journalByteCount) = (4096, ["usrquota", "grpquota", "metaecc"], 4 << 20)
        },
        Case(5120, "-J size=4M --no-backup-super") {
            ($0.journalByteCount, $0.hasBackupSuperblocks) = (4 << 20, false)
        },
    ]

    @Test("the same bytes", arguments: cases)
    func equal(_ item: Case) throws {
        let image = try ImageFile(size: item.size)
        let made = try ClassicTool.run("mkfs.ocfs2", ["-q", "-x", "-F"] + item.arguments + [image.path])
        #expect(made.status == 0, "\(made.output)")
        var options = FormatOptions()
        item.options(&options)
        let format = try VolumeFormat(options, deviceByteCount: item.size)
        let superblock = try #require(try image.superblock())
        let identity = FormatIdentity(
            uuid: superblock.uuid, generation: superblock.parameters.generation,
            indexSeed: superblock.parameters.indexSeed, time: superblock.formatTime)
        let plan = try VolumePlan(format, identity)
        try compare(plan, image)
    }

    /// Compares every block that either of them wrote, after ``BlockDifference/leveled(_:with:_:)``.
    private func compare(_ plan: VolumePlan, _ image: ImageFile) throws {
        let blockSize = plan.format.geometry.blockSize
        var ours: [UInt64: [UInt8]] = [:]
        let collect: (UInt64, [UInt8]) -> Void = { offset, bytes in
            for part in stride(from: 0, to: bytes.count, by: blockSize) {
                ours[(offset + UInt64(part)) / UInt64(blockSize)] = Array(bytes[part..<part + blockSize])
            }
        }
        plan.forEachImage(collect)
        plan.forEachSuperblock(collect)
        var found = 0
        func judge(_ block: UInt64, _ own: [UInt8], _ theirs: [UInt8]) {
            guard own != theirs, found < 12 else { return }
            let leveled = BlockDifference.leveled(theirs, with: own, plan.parameters)
            guard own != leveled else { return }
            found += 1
            Issue.record("block \(block):\(BlockDifference.text(own, leveled))")
        }
        for (block, bytes) in ours {
            judge(block, bytes, try image.read(at: block * UInt64(blockSize), count: blockSize))
        }
        let zeroes = [UInt8](repeating: 0, count: blockSize)
        try image.forEachBlockWithData(blockSize) { block, bytes in
            if ours[block] == nil { judge(block, zeroes, bytes) }
        }
    }
}

/// What may differ between a volume of mkfs.ocfs2 and the plan of the same volume.
private enum BlockDifference {
    /// `theirs` with what its writer's clock and stale memory put there replaced by `ours`.
    static func leveled(_ theirs: [UInt8], with ours: [UInt8], _ parameters: VolumeParameters) -> [UInt8] {
        var bytes = theirs
        let size = bytes.count
        var check: Int?
        switch theirs.withUnsafeBytes({ $0[LE64(offset: 0)] }) {
        case FixedSignature.dinode.rawValue:
            // Written some seconds after the superblock.
            bytes.replaceSubrange(0x30..<0x48, with: ours[0x30..<0x48])
            // A lost+found with an index is short of its trailer there; directories end at a block.
            if theirs.withUnsafeBytes({ $0[Dinode.Field.size] }) == UInt64(size - 64) {
                bytes.replaceSubrange(0x20..<0x28, with: ours[0x20..<0x28])
            }
            check = BlockCheck.dinodeOffset
        case FixedSignature.superblock.rawValue:
            // Memory behind the NUL of the cluster's name.
            let end = theirs[0x168..<0x178].firstIndex(of: 0) ?? 0x178
            bytes.replaceSubrange(end..<0x178, with: ours[end..<0x178])
            check = BlockCheck.dinodeOffset
        default:
            check = size - 8
            if theirs[1...3] == [0x24, 0xf5, 0x0c], theirs[0] < 0x80 {
                // Memory behind the header of a quota file, and counts that are not always brought up to date.
                bytes.replaceSubrange(0x14..<size - 8, with: ours[0x14..<size - 8])
            } else if theirs[8..<11] == [16, 0, 1], theirs[12] == 0x2e {
                // A directory's first block: memory behind the names; a hole that was measured before a name came.
                bytes.replaceSubrange(13..<16, with: ours[13..<16])
                let end = theirs[0x18] == 16 ? size - 64 : 0x1e
                bytes.replaceSubrange(end..<size - 8, with: ours[end..<size - 8])
            } else {
                check = nil
            }
        }
        guard let check, parameters.features.hasMetaecc, bytes != theirs else { return bytes }
        guard theirs.withUnsafeBytes({ BlockCheck.isRight($0, at: check) }) else { return theirs }
        bytes.withUnsafeMutableBytes { BlockCheck.store(into: $0, at: check) }
        return bytes
    }

    /// The lines that differ, ours first.
    static func text(_ ours: [UInt8], _ theirs: [UInt8]) -> String {
        var text = ""
        for line in stride(from: 0, to: ours.count, by: 16) where ours[line..<line + 16] != theirs[line..<line + 16] {
            let hex: (ArraySlice<UInt8>) -> String = { bytes in
                bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
            }
            text += "\n  \(String(line, radix: 16)): \(hex(ours[line..<line + 16])) | \(hex(theirs[line..<line + 16]))"
            if text.utf8.count > 1500 { break }
        }
        return text
    }
}

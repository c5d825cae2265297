import LayoutKit
import OCFS2Layout
import Testing

@testable import VolumeTools

@Suite struct FormatToolTests {
    private func device(_ mebibytes: UInt64 = 64) -> MemoryDevice { MemoryDevice(byteCount: mebibytes << 20) }

    @Test("a volume is made with the texts of mkfs.ocfs2")
    func texts() throws {
        let device = device()
        let run = ToolRun.format("-N 2 -L web -J size=4M /dev/sdb", on: device)
        #expect(run.status == 0)
        #expect(
            run.output == """
                Cluster stack: classic o2cb
                Label: web
                Features: sparse extended-slotmap backup-super unwritten inline-data strict-journal-super xattr \
                indexed-dirs refcount discontig-bg append-dio
                Block size: 1024 (10 bits)
                Cluster size: 4096 (12 bits)
                Volume size: 67108864 (16384 clusters) (65536 blocks)
                Cluster groups: 3 (tail covers 1024 clusters, rest cover 7680 clusters)
                Extent allocator size: 0 (0 groups)
                Journal size: 4194304
                Node slots: 2
                Creating bitmaps: done
                Initializing superblock: done
                Writing system files: done
                Writing superblock: done
                Writing backup superblock: 0 block(s)
                Formatting Journals: done
                Growing extent allocator: done
                Formatting slot map: done
                Formatting quota files: done
                Writing lost+found: done
                mkfs.ocfs2 successful


                """)
        let superblock = try #require(try OfflineVolume(device)).superblock
        #expect(superblock.label == "web")
        // A random UUID of version 4.
        #expect(superblock.uuid[6] >> 4 == 4)
        #expect(superblock.uuid[8] >> 6 == 2)
    }

    @Test("the superblock is written last, behind a flush, and the old one is cleared first")
    func order() throws {
        let device = device()
        #expect(ToolRun.format("-q /dev/sdb", on: device).status == 0)
        let calls = device.calls
        #expect(calls.first == .clear(0..<1 << 20))
        let firstWrite = try #require(calls.firstIndex { if case .write = $0 { true } else { false } })
        #expect(calls[firstWrite - 1] == .flush)
        let superblock = try #require(calls.lastIndex(of: .write(2048)))
        #expect(calls[superblock - 1] == .flush)
        #expect(Array(calls[(superblock + 1)...]) == [.flush])
    }

    @Test("a recognised filesystem is overwritten only after yes", arguments: ["ocfs2", "ext4"])
    func asks(name: String) throws {
        let device = device()
        if name == "ocfs2" {
            #expect(ToolRun.format("-q -U 00000000000000000000000000000001 /dev/sdb", on: device).status == 0)
        } else {
            try device.write([0x53, 0xef], at: 1080)
        }
        let before = device.calls.count
        for answer in [nil, "", "n", "no"] as [String?] {
            let run = ToolRun.format("/dev/sdb", on: device, answer: answer)
            #expect(run.status == 1)
            #expect(
                run.output.hasSuffix("Overwriting existing \(name) partition.\nProceed (y/N): Aborting operation.\n"))
            #expect(device.calls.count == before)
        }
        #expect(ToolRun.format("/dev/sdb", on: device, answer: "y").status == 0)
        #expect(device.calls.count > before)
        #expect(ToolRun.format("-q -x /dev/sdb", on: device).status == 0)
    }

    @Test("a volume that some node may have mounted is not overwritten without -F")
    func mounted() throws {
        let device = device()
        #expect(ToolRun.format("-q /dev/sdb", on: device).status == 0)
        try occupy(device, slot: 1, node: 7)
        let run = ToolRun.format("-x /dev/sdb", on: device)
        #expect(run.status == 1)
        #expect(run.errors.contains("/dev/sdb may be mounted by node 7: its slot map says so."))
        #expect(ToolRun.format("-q -x -F /dev/sdb", on: device).status == 0)
    }

    @Test("nor one for a single host")
    func mountedLocally() throws {
        let device = device()
        #expect(ToolRun.format("-q -M local /dev/sdb", on: device).status == 0)
        var options = FormatOptions()
        options.isLocal = true
        try occupy(device, options, slot: 0, node: 0)
        let run = ToolRun.format("-x -M local /dev/sdb", on: device)
        #expect(run.status == 1)
        #expect(run.errors.contains("/dev/sdb may be mounted by node 0: its slot map says so."))
    }

    @Test("a dry run writes nothing")
    func dryRun() {
        let device = device()
        let run = ToolRun.format("-n /dev/sdb", on: device)
        #expect(run.status == 0)
        #expect(run.output.hasPrefix("Dry run\nLabel: \n"))
        #expect(device.calls == [])
    }

    @Test(
        "what cannot be done is refused with the reason",
        arguments: [
            ("-b 3000 /dev/sdb", "Specify a blocksize between 512 and 4096 in powers of 2"),
            ("-C 2M /dev/sdb", "Specify a clustersize between 4096 and 1048576 in powers of 2"),
            ("-N 0 /dev/sdb", "Initial node slots must be at least 1"),
            ("-N 256 /dev/sdb", "Initial node slots must be no more than 255"),
            ("-J size=3M /dev/sdb", "Size must be greater than 4194304 bytes"),
            ("-J size=60M /dev/sdb", "Journal size too big for filesystem."),
            ("-J what /dev/sdb", "Bad journal options specified."),
            ("-T what /dev/sdb", "Bad fs type option specified."),
            ("-T datafiles /dev/sdb", "requires a device of at least 2 gigabytes"),
            ("-M what /dev/sdb", "Invalid mount type what"),
            ("-U 0123 /dev/sdb", "Invalid UUID specified"),
            ("--fs-features=what /dev/sdb", "Unsupported feature(s) found when parsing fs-features string: what"),
            ("--fs-features=unwritten,nosparse /dev/sdb", "Conflicting features specified"),
            ("--fs-feature-level=what /dev/sdb", "Unsupported feature(s) found when parsing fs-feature-level string"),
            ("--cluster-stack=o2cb /dev/sdb", "Cluster name is invalid ; missing cluster name"),
            ("--cluster-name=web /dev/sdb", "Cluster stack is invalid ; missing cluster stack"),
            ("--cluster-stack=abc --cluster-name=web /dev/sdb", "unknown cluster stack 'abc'"),
            ("--cluster-stack=o2cb --cluster-name=we_b /dev/sdb", "max 16 alpha-numeric characters"),
            ("--global-heartbeat /dev/sdb", "Global heartbeat is not supported"),
            ("-H /dev/sdb", "Heartbeat devices are not supported"),
            ("/dev/sdb 100000", "100000 blocks were specified and this is greater than the 65536 blocks"),
            ("/dev/sdb many", "Block count bad - many"),
            ("--what /dev/sdb", "unrecognized option '--what'"),
            ("-Z /dev/sdb", "invalid option -- 'Z'"),
            ("/dev/sdb -N", "option requires an argument -- 'N'"),
            ("", "usage: mkfs.ocfs2"),
            ("/dev/sdb 3 4", "usage: mkfs.ocfs2"),
        ])
    func refusals(arguments: String, text: String) {
        let device = device()
        let run = ToolRun.format(arguments, on: device)
        #expect(run.status == 1)
        #expect(run.errors.contains(text), "\(run.errors)")
        #expect(device.calls == [])
    }

    @Test("a volume that does not hold its files is refused before anything is written", arguments: [1, 5, 8])
    func tooSmall(mebibytes: UInt64) {
        let device = device(mebibytes)
        #expect(ToolRun.format("-b 512 -N 1 /dev/sdb", on: device).status == (mebibytes == 8 ? 0 : 1))
        #expect((device.calls == []) == (mebibytes != 8))
    }

    @Test("devices with sectors of 4096 bytes get blocks of 4096 bytes")
    func sectors() throws {
        let device = MemoryDevice(byteCount: 64 << 20, sectorSize: 4096)
        #expect(ToolRun.format("-q /dev/sdb", on: device).status == 0)
        #expect(try OfflineVolume(device)?.superblock.parameters.blockSize == 4096)
        #expect(ToolRun.format("-q -x -b 1024 /dev/sdb", on: device).status == 1)
    }

    @Test("options can be written in every classic way")
    func spelling() throws {
        let plain = try FormatCommandLine(["-N", "3", "-q", "-x", "-L", "web", "dev"])
        for words in [
            ["-N3", "-qx", "-Lweb", "dev"], ["dev", "--node-slots=3", "--quiet", "-x", "--label", "web"],
            ["-xqN", "3", "--lab=web", "--", "dev"],
        ] {
            #expect(try FormatCommandLine(words) == plain)
        }
        #expect(FormatCommandLine.byteCount("64k") == 65536)
        #expect(FormatCommandLine.byteCount("2G") == 2 << 30)
        #expect(FormatCommandLine.byteCount("99999999999T") == nil)
        #expect(FormatCommandLine.byteCount("-1") == nil)
        #expect(FormatCommandLine.byteCount("") == nil)
    }
}

/// Marks a slot of the volume's slot map as used by a node.
func occupy(
    _ device: MemoryDevice, _ options: FormatOptions = FormatOptions(), slot: Int, node: UInt32
) throws {
    let format = try VolumeFormat(options, deviceByteCount: device.byteCount)
    var builder = try VolumeBuilder(
        format, FormatIdentity(uuid: .zero, generation: 1, indexSeed: IndexSeed(0, 0, 0), time: 0))
    try builder.build()
    let cluster = builder.file(.slotMap).runs[0].lowerBound
    let offset = UInt64(cluster) << UInt64(format.geometry.clusterSizeBits) + UInt64(8 * slot)
    var entry: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0]
    entry.withUnsafeMutableBytes { $0[LE32(offset: 4)] = node }
    try device.write(entry, at: offset)
}

@Suite struct MountedToolTests {
    // Spec: o2cb 16.1.
    @Test("the tables of mounted.ocfs2")
    func tables() throws {
        let web = MemoryDevice(byteCount: 64 << 20), local = MemoryDevice(byteCount: 64 << 20)
        let uuid = "8FDA71670E2E4F058A5AAFF8B53C453D"
        _ = ToolRun.format("-q -L webd --cluster-stack=o2cb --cluster-name=web -U \(uuid) x", on: web)
        _ = ToolRun.format("-q -M local -U \(uuid) x", on: local)
        let devices: [String: any OfflineDevice] = [
            "/dev/vda": web, "/dev/drbd10": local, "/dev/sda1": MemoryDevice(byteCount: 2 << 20),
        ]
        let partitions = """
            major minor  #blocks  name

             254        0      65536 vda
             147       10      65536 drbd10
               8        1       2048 sda1
               8        2      65536 sda2

            """
        #expect(
            ToolRun.mounted("-d", devices: devices, partitions: partitions).output == """
                Device       Stack  Cluster  F  UUID                              Label
                /dev/vda     o2cb   web         \(uuid)  webd
                /dev/drbd10  None               \(uuid)  \n
                """)
        #expect(
            ToolRun.mounted("-f /dev/vda", devices: devices).output == """
                Device    Stack  Cluster  F  Nodes
                /dev/vda  o2cb   web         Not mounted

                """)
        try occupy(web, slot: 0, node: 5)
        try occupy(web, slot: 1, node: 1)
        #expect(ToolRun.mounted("-f /dev/vda", devices: devices).output.hasSuffix("5, alpha\n"))
        let usage = ToolRun.mounted("", devices: devices)
        #expect(usage.status == 1)
        #expect(usage.errors.hasPrefix("usage: mounted.ocfs2 [-dfv] [device]\n"))
        #expect(ToolRun.mounted("-x", devices: devices).errors.hasPrefix("mounted.ocfs2: invalid option -- 'x'\n"))
    }

    @Test("a damaged volume is named in full detection and does no harm")
    func damaged() throws {
        let device = MemoryDevice(byteCount: 64 << 20)
        _ = ToolRun.format("-q x", on: device)
        let system = try #require(try OfflineVolume(device)).superblock.parameters.systemDirectoryBlock
        try device.write([0], at: system * 1024)
        let run = ToolRun.mounted("-f x", devices: ["x": device])
        #expect(run.status == 0)
        #expect(run.output.contains("Unknown: block 10: bad magic"), "\(run.output)")
    }

    @Test("whole disks give way to their partitions")
    func partitions() {
        let text = """
            major minor  #blocks  name

               8        0   10000000 sda
               8        1    5000000 sda1
             259        0   10000000 nvme0n1
             259        1   10000000 nvme0n1p2
               7        1       1024 loop1
               7       10      99999 loop10

            """
        #expect(MountedTool.devices(inPartitions: text) == ["/dev/sda1", "/dev/nvme0n1p2", "/dev/loop10"])
    }

    @Test("names of nodes come from cluster.conf")
    func nodeNames() {
        let text = """
            node:
            \tcluster = web
            \tnumber = 1
            \tname = alpha
            # a comment
            node:
             name=beta gamma\u{20}
             number = 2
             cluster = web

            cluster:
            \tname = web
            """
        #expect(ClusterNodeNames.name(of: 1, cluster: "web", in: text) == "alpha")
        #expect(ClusterNodeNames.name(of: 2, cluster: "", in: text) == "beta gamma")
        #expect(ClusterNodeNames.name(of: 1, cluster: "other", in: text) == nil)
        #expect(ClusterNodeNames.name(of: 3, cluster: "web", in: text) == nil)
    }
}

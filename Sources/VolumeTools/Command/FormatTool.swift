import OCFS2Layout

/// mkfs.ocfs2: same options, same texts, same exit statuses (0 and 1).
package struct FormatTool {
    /// What the tool needs of the world.
    package struct Environment {
        /// Version of the program, for the head line.
        package var version: String
        package var random: () -> UInt64
        /// Seconds since 1970.
        package var time: () -> UInt64
        /// Opens what the user named.
        package var open: (_ path: String, _ writable: Bool) throws(OfflineDeviceError) -> any OfflineDevice

        package init(
            version: String, random: @escaping () -> UInt64, time: @escaping () -> UInt64,
            open: @escaping (_ path: String, _ writable: Bool) throws(OfflineDeviceError) -> any OfflineDevice
        ) {
            self.version = version
            self.random = random
            self.time = time
            self.open = open
        }
    }

    private let environment: Environment
    private let streams: ToolStreams

    package init(environment: Environment, streams: ToolStreams) {
        self.environment = environment
        self.streams = streams
    }

    /// Runs the command to its end; the result is its exit status.
    package func run(_ arguments: [String]) -> Int32 {
        do throws(FormatCommandLine.Failure) {
            let line = try FormatCommandLine(arguments)
            if line.showsVersion {
                streams.error("mkfs.ocfs2 1.8.7 (yoke \(environment.version))\n")
                return 0
            }
            return make(line)
        } catch {
            switch error {
            case .usage(let problem):
                if let problem { streams.error("mkfs.ocfs2: \(problem)\n") }
                streams.error(FormatCommandLine.usage)
            case .refused(let problem):
                streams.error("mkfs.ocfs2: \(problem)\n")
            }
            return 1
        }
    }

    private func make(_ line: FormatCommandLine) -> Int32 {
        if !line.isQuiet { streams.error("mkfs.ocfs2 1.8.7 (yoke \(environment.version))\n") }
        do {
            let device = try environment.open(line.device, !line.isDryRun)
            let format = try VolumeFormat(
                line.options, deviceByteCount: device.byteCount, sectorSize: device.sectorSize)
            if line.uuid != nil { warnOfUUID() }
            if line.isDryRun {
                if !line.isQuiet { streams.output("Dry run\n") }
            } else {
                if !line.isQuiet { streams.output(stackText(format, line)) }
                guard try mayOverwrite(device, line) else { return 1 }
            }
            if !line.isQuiet { streams.output(summary(format, line)) }
            let plan = try VolumePlan(format, identity(line))
            if !line.isDryRun { try write(plan, device, line) }
            return 0
        } catch let refusal as FormatRefusal {
            streams.error("mkfs.ocfs2: \(refusal.text)\n")
        } catch let error as OfflineDeviceError {
            streams.error("mkfs.ocfs2: \(error.description)\n")
        } catch {
            streams.error("mkfs.ocfs2: \(error)\n")
        }
        return 1
    }

    private func identity(_ line: FormatCommandLine) -> FormatIdentity {
        let random = (environment.random(), environment.random(), environment.random(), environment.random())
        var uuid = FixedBytes16 { UInt8(truncatingIfNeeded: ($0 < 8 ? random.0 : random.1) >> UInt64(8 * ($0 & 7))) }
        // A random UUID says that it is one: version 4, variant 1.
        uuid[6] = uuid[6] & 0x0f | 0x40
        uuid[8] = uuid[8] & 0x3f | 0x80
        return FormatIdentity(
            uuid: line.uuid ?? uuid, generation: UInt32(truncatingIfNeeded: random.2),
            indexSeed: IndexSeed(
                UInt32(truncatingIfNeeded: random.2 >> 32), UInt32(truncatingIfNeeded: random.3),
                UInt32(truncatingIfNeeded: random.3 >> 32)),
            time: environment.time())
    }

    private func write(_ plan: VolumePlan, _ device: any OfflineDevice, _ line: FormatCommandLine) throws {
        let say: (String) -> Void = { if !line.isQuiet { streams.output($0) } }
        try VolumeWriter.write(plan, to: device) { step in
            switch step {
            case .clearing: say("Creating bitmaps: ")
            case .metadata: say("done\nInitializing superblock: done\nWriting system files: ")
            case .superblocks: say("done\nWriting superblock: ")
            }
        }
        say(
            """
            done
            Writing backup superblock: \(plan.backups.count) block(s)
            Formatting Journals: done
            Growing extent allocator: done
            Formatting slot map: done
            Formatting quota files: done
            Writing lost+found: done
            mkfs.ocfs2 successful


            """)
    }
}

// Asking before something is lost.
extension FormatTool {
    /// false: the user said no, or somebody may use the volume.
    private func mayOverwrite(_ device: any OfflineDevice, _ line: FormatCommandLine) throws -> Bool {
        let start = try device.read(
            at: 0, count: Int(min(device.byteCount, UInt64(ExistingContent.scannedByteCount + 8192))))
        guard let name = ExistingContent.recognise(start) else { return true }
        if !line.isForced, let nodes = mountedNodes(device) {
            streams.error(
                """
                mkfs.ocfs2: \(line.device) may be mounted by \(nodes): its slot map says so.
                Unmount it there first. If no host has it mounted (the map keeps hosts that crashed), use -F.

                """)
            return false
        }
        streams.output("Overwriting existing \(name) partition.\n")
        if line.skipsQuestions { return true }
        streams.output("Proceed (y/N): ")
        if let answer = streams.readAnswer(), answer.hasPrefix("y") || answer.hasPrefix("Y") { return true }
        streams.output("Aborting operation.\n")
        return false
    }

    /// The nodes in the slot map of the volume on the device, in words; nil for none, or no readable volume.
    private func mountedNodes(_ device: any OfflineDevice) -> String? {
        guard let volume = try? OfflineVolume(device),
            let nodes = try? volume.slots().nodes.compactMap({ $0 }), !nodes.isEmpty
        else { return nil }
        return (nodes.count == 1 ? "node " : "nodes ") + nodes.map(String.init).joined(separator: ", ")
    }

    private func warnOfUUID() {
        streams.error(
            """

            WARNING!!! OCFS2 uses the UUID to uniquely identify a file system.
            Having two OCFS2 file systems with the same UUID could, in the least,
            cause erratic behavior, and if unlucky, cause file system damage.
            Please choose the UUID with care.


            """)
    }
}

// What is made, in words.
extension FormatTool {
    private func stackText(_ format: VolumeFormat, _ line: FormatCommandLine) -> String {
        if let info = format.clusterInfo {
            return "Cluster stack: \(info.stack)\nCluster name: \(info.clusterName)\nStack Flags: 0x0\n"
                + "NOTE: Feature extended slot map may be enabled\n"
        }
        return format.features.isLocal ? "" : "Cluster stack: classic o2cb\n"
    }

    private func summary(_ format: VolumeFormat, _ line: FormatCommandLine) -> String {
        let geometry = format.geometry
        let groups = format.groupCount
        let perGroup = min(geometry.clustersPerGroup, format.clusterCount)
        let tail = format.clusterCount - (groups - 1) * geometry.clustersPerGroup
        let journal = UInt64(format.journalClusters) << UInt64(geometry.clusterSizeBits)
        let extents = UInt64(format.extentGroupsPerSlot) * format.suballocatorGroupByteCount
        let usage = line.options.usage.map { "Filesystem Type of \($0.rawValue)\n" } ?? ""
        return usage + """
            Label: \(format.label)
            Features: \(FeatureChoice.listing(format.features))
            Block size: \(geometry.blockSize) (\(geometry.blockSizeBits) bits)
            Cluster size: \(geometry.clusterSize) (\(geometry.clusterSizeBits) bits)
            Volume size: \(format.byteCount) (\(format.clusterCount) clusters) (\(format.blockCount) blocks)
            Cluster groups: \(groups) (tail covers \(tail) clusters, rest cover \(perGroup) clusters)
            Extent allocator size: \(extents) (\(format.extentGroupsPerSlot) groups)
            Journal size: \(journal)
            Node slots: \(format.slotCount)

            """
    }
}

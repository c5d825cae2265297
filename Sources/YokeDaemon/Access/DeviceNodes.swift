internal import DRBDLayout
internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import Logging
internal import NBDLayout
internal import NBDServer
internal import NIOPosix
internal import Replication
internal import YokeControl

/// The block device nodes of this daemon's volumes: `/dev/drbdN` below the root.
///
/// A node is a device of the kernel's nbd driver where that is there, else a FUSE file under a loop device; both are
/// served by the resource's reactor. While it exists the volume is open, as a block device that somebody uses; it is
/// taken away before a demotion, which is refused when the device is in use.
actor DeviceNodes {
    private struct Node {
        var device: ResourceRegistry.Device
        var path: String
        var block: Block
    }

    private enum Block {
        case fuse(FileBackedBlockDevice, DoorReference)
        case nbd(KernelNBD)

        var path: String {
            switch self {
            case .fuse(let block, _): block.loop.path
            case .nbd(let block): block.path
            }
        }

        /// Whether somebody has claimed the device, or just has it open.
        var isInUse: Bool { BlockSpecialNode.isClaimed(path) || DeviceOpeners.another(of: path) != nil }

        /// Writes what programs left in the page cache: a loop device takes no more of it once it is to be freed. False: not
        /// all of it could be written.
        func sync() -> Bool {
            let second = open(path, O_RDONLY | O_CLOEXEC)
            guard second >= 0 else { return true }
            defer { close(second) }
            return fsync(second) == 0
        }

        func detach() throws(DeviceNodeError) {
            switch self {
            case .fuse(let block, _): try block.detach()
            case .nbd(let block): try block.disconnect()
            }
        }
    }

    /// The door, for the thread that owns it.
    ///
    /// `@unchecked Sendable`: only used inside jobs of the runner's reactor.
    private final class DoorReference: @unchecked Sendable {
        var door: FUSEDoor?
    }

    struct Failure: Error {
        var text: String
    }

    private var nodes: [Int: Node] = [:]
    /// Minors whose node is being made or removed; requests for them wait for their turn.
    private var busy: Set<Int> = []

    func path(of minor: Int) -> String? { nodes[minor]?.path }

    /// Whether somebody has claimed the node of a volume: a mounted filesystem, or a tool that writes one.
    func isClaimed(_ device: ResourceRegistry.Device) async -> Bool {
        let node = nodes.values.first { $0.device.runner === device.runner && $0.device.volume == device.volume }
        guard let path = node?.block.path else { return false }
        return (try? await NIOThreadPool.singleton.runIfActive { BlockSpecialNode.isClaimed(path) }) ?? false
    }

    /// Makes the node of a Primary; the path, also when it exists already.
    func make(_ device: ResourceRegistry.Device, minor: Int, paths: InstallationPaths) async throws(Failure) -> String {
        while busy.contains(minor) { try? await Task.sleep(for: .milliseconds(20)) }
        if let node = nodes[minor] { return node.path }
        busy.insert(minor)
        defer { busy.remove(minor) }
        let node = try await build(device, minor, paths)
        nodes[minor] = node
        let path = node.path
        _ = await device.runner.ask { $0.record(of: device.volume)?.deviceNode = path }
        return path
    }

    private func build(
        _ device: ResourceRegistry.Device, _ minor: Int, _ paths: InstallationPaths
    ) async throws(Failure) -> Node {
        let volume = device.volume
        let name = "\(device.runner.name)/\(volume)"
        let opened = await device.runner.ask { runner -> Result<UInt64, OpenRefusal> in
            do throws(OpenRefusal) {
                try runner.openVolume(volume)
                return .success((runner.snapshot(of: volume)?.sizeSectors ?? 0) << 9)
            } catch {
                return .failure(error)
            }
        }
        let size: UInt64
        switch opened {
        case .success(let bytes): size = bytes
        case .failure(.isSecondary):
            throw Failure(
                text: "\(name) is Secondary on this host: make it Primary first: yoke drbdadm primary"
                    + " \(device.runner.name)")
        case .failure(let refusal): throw Failure(text: "\(name) cannot be opened: \(refusal)")
        case nil: throw Failure(text: "\(name) is being taken down")
        }
        do {
            let path = paths.path("/dev/drbd\(minor)")
            let block = try await attach(device, minor, size, paths)
            try await Self.blocking { () throws(DeviceNodeError) in
                mkdir(paths.path("/dev"), 0o755)
                do throws(DeviceNodeError) {
                    try BlockSpecialNode.create(path, for: block.path)
                } catch {
                    try? block.detach()
                    throw error
                }
            }
            return Node(device: device, path: path, block: block)
        } catch {
            _ = await device.runner.ask { $0.closeVolume(volume) }
            throw Failure(text: "no device node for \(name): \(error)")
        }
    }

    private static func blocking<Value: Sendable>(
        _ work: @escaping @Sendable () throws(DeviceNodeError) -> Value
    ) async throws -> Value {
        try await NIOThreadPool.singleton.runIfActive { try work() }
    }

    private func attach(
        _ device: ResourceRegistry.Device, _ minor: Int, _ size: UInt64, _ paths: InstallationPaths
    ) async throws -> Block {
        if KernelNBD.isAvailable, let block = try? await attachNBD(device, minor, size) { return .nbd(block) }
        return try await attachFUSE(device, minor, size, paths)
    }

    // MARK: The kernel's nbd driver

    private func attachNBD(
        _ device: ResourceRegistry.Device, _ minor: Int, _ size: UInt64
    ) async throws -> KernelNBD {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw Failure(text: "no socket pair")
        }
        let (ours, kernels) = (ends[0], ends[1])
        defer { close(kernels) }
        _ = fcntl(ours, F_SETFL, O_NONBLOCK)
        let volume = device.volume
        let export = await device.runner.ask { runner -> NBDExport? in
            guard case .export(let export) = runner.exportAnswer(for: volume) else { return nil }
            return runner.serveKernel(ours, export, volume) ? export : nil
        }
        guard let export = export ?? nil else {
            close(ours)
            throw Failure(text: "not to be exported now")
        }
        let offer = KernelNBD.Export(
            sizeBytes: size, blockBytes: export.minimumBlock,
            flags: export.transmissionFlags(structuredReplies: false).rawValue, identifier: "yoke-drbd\(minor)")
        return try await Self.blocking { () throws(DeviceNodeError) -> KernelNBD in
            try KernelNBD.connect(offer, sockets: [kernels])
        }
    }

    // MARK: A FUSE file under a loop device

    private func attachFUSE(
        _ device: ResourceRegistry.Device, _ minor: Int, _ size: UInt64, _ paths: InstallationPaths
    ) async throws -> Block {
        let fileName = "drbd\(minor)"
        let directory = paths.path("/run/yoke/\(fileName).mount")
        let mount = try await Self.blocking { () throws(DeviceNodeError) -> FUSEMount in
            // What a daemon that died left behind.
            try? FUSEMount.detach(directory)
            mkdir(directory, 0o700)
            return try FUSEMount.mount(source: "yoke-\(fileName)", on: directory)
        }
        let reference = DoorReference()
        let volume = device.volume
        let problem = await device.runner.ask { runner -> String? in
            let door = FUSEDoor(
                fileName: fileName, sizeBytes: size, descriptor: mount.descriptor, volume: volume, runner: runner)
            do throws(SystemError) {
                try door.start()
            } catch {
                return error.description
            }
            reference.door = door
            runner.devices.append(door)
            return nil
        }
        if let problem = problem ?? nil {
            close(mount.descriptor)
            throw Failure(text: problem)
        }
        do {
            let block = try await Self.blocking { () throws(DeviceNodeError) -> FileBackedBlockDevice in
                let block = try FileBackedBlockDevice.attach(to: mount, fileName: fileName)
                rmdir(directory)
                return block
            }
            return .fuse(block, reference)
        } catch {
            _ = await end(reference, device.runner, abort: true)
            throw error
        }
    }

    /// Takes the node of a volume away; the text of a refusal when somebody uses it.
    func remove(_ device: ResourceRegistry.Device, force: Bool = false) async -> String? {
        guard
            let entry = nodes.first(where: {
                $0.value.device.runner === device.runner
                    && $0.value.device.volume == device.volume
            })
        else { return nil }
        let (minor, node) = (entry.key, entry.value)
        while busy.contains(minor) { try? await Task.sleep(for: .milliseconds(20)) }
        guard nodes[minor] != nil else { return nil }
        busy.insert(minor)
        defer { busy.remove(minor) }
        let volume = device.volume
        // A flush of frozen I/O would not come back.
        let isFrozen = await device.runner.ask { $0.snapshot(of: volume)?.state.isSuspended ?? false } ?? true
        let isFree = try? await NIOThreadPool.singleton.runIfActive { () -> Bool in
            if !force, node.block.isInUse { return false }
            if !force, !isFrozen, !node.block.sync() { return false }
            try? BlockSpecialNode.remove(node.path)
            try? node.block.detach()
            return true
        }
        guard isFree == true else { return Self.inUse(minor) }
        if case .fuse(let block, let door) = node.block {
            var attemptsLeft = 15
            while await !end(door, device.runner, abort: force || attemptsLeft == 0) {
                // The kernel still writes what was left, or it was opened since it was looked at.
                attemptsLeft -= 1
                guard let kept = await retaken(block, node.path) else { continue }
                nodes[minor]?.block = .fuse(kept, door)
                return Self.inUse(minor)
            }
        }
        nodes[minor] = nil
        _ = await device.runner.ask { runner in
            runner.record(of: device.volume)?.deviceNode = nil
            runner.closeVolume(device.volume)
        }
        return nil
    }

    private static func inUse(_ minor: Int) -> String {
        "\(minor): State change failed: (-12) Device is held open by someone\n"
    }

    /// Undoes the end of a node whose device others hold; nil when they have let go of it by now.
    private func retaken(_ block: FileBackedBlockDevice, _ path: String) async -> FileBackedBlockDevice? {
        let kept = try? await NIOThreadPool.singleton.runIfActive { () -> FileBackedBlockDevice? in
            guard let kept = block.reattached() else { return nil }
            try? BlockSpecialNode.create(path, for: kept.loop.path)
            return kept
        }
        return kept ?? nil
    }

    /// Waits until the kernel has let go of the mount, for a moment; with `abort` it is ended from here, and who still
    /// writes gets errors. False: somebody holds it.
    private func end(_ reference: DoorReference, _ runner: ResourceRunner, abort: Bool) async -> Bool {
        let hasEnded = await Promise<Bool>.wait { promise in
            runner.reactor.post {
                guard let door = reference.door else { return promise.fulfil(true) }
                door.whenEnded { promise.fulfil(true) }
                if abort { return door.abort() }
                runner.reactor.addTimer(at: runner.reactor.now + .seconds(2)) { promise.fulfil(false) }
            }
        }
        guard hasEnded != false else { return false }
        _ = await runner.ask { runner in
            if let door = reference.door { runner.devices.removeAll { $0 === door } }
            reference.door = nil
        }
        return true
    }

    /// Automatic nodes: one for each Primary, none for a Secondary.
    func makeIfPrimary(_ device: ResourceRegistry.Device, daemon: Daemon) async {
        let volume = device.volume
        let facts = await device.runner.ask { runner -> (minor: Int, refusal: OpenRefusal?)? in
            guard let record = runner.record(of: volume) else { return nil }
            return (record.minor, runner.openRefusal(volume))
        }
        guard let facts = facts ?? nil, facts.refusal == nil else { return }
        do throws(Failure) {
            _ = try await make(device, minor: facts.minor, paths: daemon.paths)
        } catch {
            daemon.logger.warning("drbd \(device.runner.name)/\(volume): \(error.text)")
        }
    }

    /// The resource goes: its nodes are taken away whoever uses them.
    func forget(_ runner: ResourceRunner) async {
        for node in nodes.values where node.device.runner === runner { _ = await remove(node.device, force: true) }
    }

    /// Mount point, type and sizes of mounted nodes, for drbd-overview. Spec: drbd-config-and-tools 16.
    func mountTexts() async -> [Int: String] {
        let paths = nodes.mapValues(\.path)
        guard !paths.isEmpty else { return [:] }
        let texts = try? await NIOThreadPool.singleton.runIfActive { MountTable.texts(of: paths) }
        return texts ?? [:]
    }
}

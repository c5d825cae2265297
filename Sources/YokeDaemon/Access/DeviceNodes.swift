internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import Logging
internal import NIOPosix
internal import Replication
internal import YokeControl

/// The block device nodes of this daemon's volumes: `/dev/drbdN` below the root.
///
/// A node is a FUSE file under a loop device, served by the resource's reactor. While it exists the volume is open, as
/// a block device that somebody uses; it is taken away before a demotion, which is refused when the device is in use.
actor DeviceNodes {
    private struct Node {
        var device: ResourceRegistry.Device
        var path: String
        var block: FileBackedBlockDevice
        var door: DoorReference
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
            return try await attach(device, minor, size, paths)
        } catch {
            _ = await device.runner.ask { $0.closeVolume(volume) }
            throw Failure(text: "no device node for \(name): \(error)")
        }
    }

    private func attach(
        _ device: ResourceRegistry.Device, _ minor: Int, _ size: UInt64, _ paths: InstallationPaths
    ) async throws -> Node {
        let volume = device.volume
        let fileName = "drbd\(minor)"
        let directory = paths.path("/run/yoke/\(fileName).mount")
        let path = paths.path("/dev/\(fileName)")
        let mount = try await NIOThreadPool.singleton.runIfActive { () throws(DeviceNodeError) -> FUSEMount in
            // What a daemon that died left behind.
            try? FUSEMount.detach(directory)
            mkdir(directory, 0o700)
            return try FUSEMount.mount(source: "yoke-\(fileName)", on: directory)
        }
        let reference = DoorReference()
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
            let block = try await NIOThreadPool.singleton.runIfActive {
                () throws(DeviceNodeError) -> FileBackedBlockDevice in
                let block = try FileBackedBlockDevice.attach(to: mount, fileName: fileName)
                rmdir(directory)
                mkdir(paths.path("/dev"), 0o755)
                do throws(DeviceNodeError) {
                    try BlockSpecialNode.create(path, for: block.loop.path)
                } catch {
                    try? block.detach()
                    throw error
                }
                return block
            }
            return Node(device: device, path: path, block: block, door: reference)
        } catch {
            await end(reference, device.runner, abort: true)
            throw error
        }
    }

    /// Takes the node of a volume away; the text of a refusal when somebody uses it.
    func remove(_ device: ResourceRegistry.Device, force: Bool = false) async -> String? {
        guard let entry = nodes.first(where: { $0.value.device.runner === device.runner
            && $0.value.device.volume == device.volume }) else { return nil }
        let (minor, node) = (entry.key, entry.value)
        while busy.contains(minor) { try? await Task.sleep(for: .milliseconds(20)) }
        guard nodes[minor] != nil else { return nil }
        busy.insert(minor)
        defer { busy.remove(minor) }
        let isFree = try? await NIOThreadPool.singleton.runIfActive { () -> Bool in
            if node.block.loop.isClaimed && !force { return false }
            try? BlockSpecialNode.remove(node.path)
            try? node.block.detach()
            return true
        }
        guard isFree == true else {
            return "\(minor): State change failed: (-12) Device is held open by someone\n"
        }
        nodes[minor] = nil
        await end(node.door, device.runner, abort: force)
        _ = await device.runner.ask { runner in
            runner.record(of: device.volume)?.deviceNode = nil
            runner.closeVolume(device.volume)
        }
        return nil
    }

    /// Waits until the kernel has let go of the mount, for a moment; then ends it from here.
    private func end(_ reference: DoorReference, _ runner: ResourceRunner, abort: Bool) async {
        _ = await Promise<Bool>.wait { promise in
            runner.reactor.post {
                guard let door = reference.door else { return promise.fulfil(true) }
                door.whenEnded { promise.fulfil(true) }
                if abort { return door.abort() }
                runner.reactor.addTimer(at: runner.reactor.now + .seconds(2)) {
                    door.abort()
                    promise.fulfil(false)
                }
            }
        }
        _ = await runner.ask { runner in
            if let door = reference.door { runner.devices.removeAll { $0 === door } }
            reference.door = nil
        }
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

internal import EngineKit
internal import FUSEServer
internal import FileSystem
internal import Glibc
internal import LinuxReactor
internal import Logging
internal import NIOPosix
internal import Replication
internal import YokeControl

// `yoke mount`, `yoke umount`, and mount.ocfs2.
extension Daemon {
    /// Exit statuses of mount(8).
    enum MountStatus {
        static let success: Int32 = 0
        static let usage: Int32 = 1
        static let system: Int32 = 2
        static let failure: Int32 = 32
    }

    /// How far the kernel reads ahead. Spec: fuse 19.
    private static let readAheadKibibytes = 1024

    private func mountUsage(_ output: ControlOutput) -> Int32 {
        output.standardError("usage: yoke mount [-o OPTIONS] DEVICE DIRECTORY\n")
        return MountStatus.usage
    }

    private func unmountUsage(_ output: ControlOutput) -> Int32 {
        output.standardError("usage: yoke umount [--lazy] DIRECTORY|DEVICE\n")
        return MountStatus.usage
    }

    // MARK: mount

    /// `mount [-o OPTIONS] [-s] [-f] SOURCE DIRECTORY`; without arguments the list.
    func mount(_ words: [String], _ output: ControlOutput) async -> Int32 {
        if words.isEmpty { return listMounts(output) }
        var rest = words[...]
        var names: [String] = []
        var options: [String] = []
        var (mayIgnore, isFake) = (false, false)
        while let word = rest.popFirst() {
            switch word {
            case "-o":
                guard let text = rest.popFirst() else { return mountUsage(output) }
                options.append(text)
            case "-s": mayIgnore = true
            case "-f": isFake = true
            case _ where word.hasPrefix("-"): return mountUsage(output)
            default: names.append(word)
            }
        }
        guard names.count == 2 else { return mountUsage(output) }
        let parsed: MountWords
        do throws(MountWords.Refusal) {
            parsed = try MountWords(options.joined(separator: ","), mayIgnore: mayIgnore)
        } catch {
            output.standardError("\(names[0]): \(error.text)\n")
            return MountStatus.usage
        }
        for word in parsed.ignored { output.standardError("mount option '\(word)' is not known and ignored\n") }
        if isFake { return MountStatus.success }
        return await mount(MountRequest(source: names[0], directory: names[1], words: parsed), output)
    }

    private func mount(_ request: MountRequest, _ output: ControlOutput) async -> Int32 {
        do throws(MountFailure) {
            try await mount(request)
            return MountStatus.success
        } catch {
            output.standardError(error.text + "\n")
            return MountStatus.failure
        }
    }

    func mount(_ request: MountRequest) async throws(MountFailure) {
        let located = try await locate(request.source)
        await waitForEnding { $0.source == located.source }
        guard mounts.reserve(located.source) else {
            throw MountFailure(text: "\(located.source) is mounted already, or being mounted")
        }
        do throws(MountFailure) {
            if case .replicated(let device) = located.place, await nodes.isClaimed(device) {
                throw MountFailure(
                    text: "\(located.source) is in use: a mount of the kernel, mkfs.ocfs2 or another program has it")
            }
            let mount = try await begin(request, located.source, located.place)
            mounts.add(mount)
            logger.notice("\(mount.source): mounted on \(mount.directory)")
            Task { await self.watch(mount) }
        } catch {
            mounts.release(located.source)
            throw error
        }
    }

    /// Notices the end, whoever brought it about.
    private func watch(_ mount: ServedMount) async {
        await waitForEnd(of: mount)
        logger.notice("\(mount.source): unmounted from \(mount.directory)")
    }

    /// Whoever has waited can mount the volume again at once.
    func waitForEnd(of mount: ServedMount) async {
        await mount.waitForEnd()
        mounts.remove(mount)
    }

    private func begin(
        _ request: MountRequest, _ source: String, _ place: MountPlace
    ) async throws(MountFailure) -> ServedMount {
        let cluster = clusterChoice(request.words.heartbeat)
        let served = try await open(request, source, place, cluster)
        if let failure = await served.mountVolume(request.words.volume, cluster) {
            await served.giveUp()
            throw MountFailure(text: failure.text(source: source))
        }
        let directory = request.directory
        let options = FUSEMountOptions(subtype: "ocfs2", flags: request.words.flags)
        let mounted: Result<FUSEMount, DeviceNodeError> = await Self.blocking {
            FUSEMount.detachDead(directory)
            do throws(DeviceNodeError) {
                return .success(try FUSEMount.mount(source: source, on: directory, options))
            } catch {
                return .failure(error)
            }
        }
        switch mounted {
        case .failure(let error):
            await served.giveUp()
            throw MountFailure(text: error.description)
        case .success(let mount):
            var serving = FileSystemServerOptions()
            serving.name = "ocfs2 \(source)"
            serving.hasAccessLists = request.words.volume.acl
            serving.isReadOnly = request.words.volume.isReadOnly
            guard await served.serve(mount, options: serving) else {
                _ = await Self.blocking { try? mount.detach() }
                await served.giveUp()
                throw MountFailure(text: "\(source) cannot be served: see the log of yoked")
            }
        }
        await tune(served)
        return served
    }

    /// The disk is opened where that may wait. One that several hosts share is served where the cluster is.
    private func open(
        _ request: MountRequest, _ source: String, _ place: MountPlace, _ cluster: ClusterChoice
    ) async throws(MountFailure) -> ServedMount {
        let isReadOnly = request.words.volume.isReadOnly
        let found: ServedMount.Place
        switch place {
        case .replicated(let device): found = .replicated(device.runner, device.volume)
        case .path(let path):
            let disk = try await Self.opening { () throws(SystemError) in
                try Self.openDisk(path, mayBeReadOnly: isReadOnly)
            }
            found = try await hasCluster(disk, cluster) ? .sharedDisk(disk, sharedReactor()) : .disk(disk)
        }
        let directory = request.directory
        let backend = settings.backend
        let logger = logger
        return try await Self.opening { () throws(SystemError) in
            try ServedMount(source: source, directory: directory, place: found, backend: backend) {
                logger.log(level: $0.level.loggerLevel, "\($0.text)")
            }
        }
    }

    private static func opening<Value: Sendable>(
        _ work: @escaping @Sendable () throws(SystemError) -> Value
    ) async throws(MountFailure) -> Value {
        let outcome: Result<Value, SystemError> = await blocking {
            do throws(SystemError) {
                return .success(try work())
            } catch {
                return .failure(error)
            }
        }
        do {
            return try outcome.get()
        } catch {
            let advice = error.code == EBUSY ? ": somebody uses it, a mount or a running resource" : ""
            throw MountFailure(text: "\(error)\(advice)")
        }
    }

    private func sharedReactor() throws(MountFailure) -> VolumeReactor {
        do throws(SystemError) {
            return try registry.reactor(settings.backend)
        } catch {
            throw MountFailure(text: "\(error)")
        }
    }

    /// Whether the volume on a disk is mounted as a member of a cluster. What is no volume is refused later.
    private func hasCluster(_ disk: DiskFile, _ cluster: ClusterChoice) async throws(MountFailure) -> Bool {
        guard disk.access == .readWrite, let volume = await Self.blocking({ ClusteredVolume(on: disk) }) else {
            return false
        }
        do throws(ClusterFailure) {
            return try await cluster.registration(for: volume) != nil
        } catch {
            disk.releaseClaim()
            throw MountFailure(text: error.text)
        }
    }

    private static func openDisk(_ path: String, mayBeReadOnly: Bool) throws(SystemError) -> DiskFile {
        do throws(SystemError) {
            return try DiskFile.open(path: path, access: .readWrite)
        } catch {
            guard mayBeReadOnly, [EROFS, EACCES, EPERM].contains(error.code) else { throw error }
            return try DiskFile.open(path: path, access: .readOnly)
        }
    }

    private func tune(_ mount: ServedMount) async {
        let directory = mount.directory
        let problem: String? = await Self.blocking {
            do throws(SystemError) {
                guard let record = try MountRecord.all().last(where: { $0.directory == directory }) else { return nil }
                try MountTuning.setReadAhead(kibibytes: Self.readAheadKibibytes, minor: record.minor)
                return nil
            } catch {
                return error.description
            }
        }
        if let problem { logger.info("\(mount.source): read-ahead stays at the kernel's 128 KiB: \(problem)") }
    }

    private func listMounts(_ output: ControlOutput) -> Int32 {
        for mount in mounts.all { output.standardOutput("\(mount.source) on \(mount.directory) type ocfs2\n") }
        return MountStatus.success
    }

    // MARK: umount

    /// `umount [--lazy] DIRECTORY|DEVICE`. Returns when the volume is clean.
    func unmount(_ words: [String], _ output: ControlOutput) async -> Int32 {
        let names = words.filter { !$0.hasPrefix("-") }
        let flags = words.filter { $0.hasPrefix("-") }
        guard names.count == 1, flags.allSatisfy({ ["--lazy", "-l"].contains($0) }) else {
            return unmountUsage(output)
        }
        guard let mount = await findMount(names[0]) else {
            output.standardError("\(names[0]) is not mounted by this yoked\n")
            return MountStatus.failure
        }
        if let problem = await detach(mount, isLazy: !flags.isEmpty) {
            output.standardError(problem + "\n")
            return MountStatus.failure
        }
        if flags.isEmpty { await waitForEnd(of: mount) }
        return MountStatus.success
    }

    /// By its directory, by the name that it was mounted by, or by any other name of the same volume or device node.
    func findMount(_ word: String) async -> ServedMount? {
        if let mount = mounts.find(word) { return mount }
        if let located = try? await locate(word), let mount = mounts.find(located.source) { return mount }
        let (all, paths) = (mounts.all, paths)
        return await Self.blocking {
            guard let wanted = BlockDeviceNumber(path: paths.resolveDevice(word)) else { return nil }
            return all.last { BlockDeviceNumber(path: paths.resolveDevice($0.source)) == wanted }
        }
    }

    /// Takes the mount point away; nil, or why not.
    func detach(_ mount: ServedMount, isLazy: Bool) async -> String? {
        let directory = mount.directory
        return await Self.blocking {
            do throws(DeviceNodeError) {
                if isLazy { try FUSEMount.detach(directory) } else { try FUSEMount.unmount(directory) }
                return nil
            } catch {
                return error.description
            }
        }
    }

    /// Who still uses the mount gets errors from now on. Nil, or why it stays in sight.
    func cutOff(_ mount: ServedMount) async -> String? {
        let directory = mount.directory
        let problem: String? = await Self.blocking {
            do throws(DeviceNodeError) {
                try FUSEMount.cutOff(directory)
                return nil
            } catch {
                return error.description
            }
        }
        mount.abort()
        return problem
    }

    // MARK: takeover

    /// `takeover [DIRECTORY|DEVICE]`: the admin says that the other host is dead.
    func takeOver(_ words: [String], _ output: ControlOutput) async -> Int32 {
        guard words.count <= 1 else {
            output.standardError("usage: yoke takeover [DIRECTORY|DEVICE]\n")
            return MountStatus.usage
        }
        var chosen = mounts.all
        if let word = words.first {
            guard let mount = await findMount(word) else {
                output.standardError("\(word) is not mounted by this yoked\n")
                return MountStatus.failure
            }
            chosen = [mount]
        }
        var isDone = false
        for mount in chosen {
            guard let problem = await mount.takeOver() else {
                isDone = true
                logger.warning("\(mount.source): the admin says that the other host is dead")
                continue
            }
            if words.count == 1 { output.standardError("\(mount.source): \(problem)\n") }
        }
        if !isDone, words.isEmpty { output.standardError("no mount waits for a decision\n") }
        return isDone ? MountStatus.success : MountStatus.failure
    }

    /// The daemon ends: everything is unmounted; who still uses a mount gets errors, but nothing that was written is
    /// lost.
    func stopMounts() async {
        mounts.close()
        await withTaskGroup { group in
            for mount in mounts.all { group.addTask { await self.stop(mount) } }
        }
    }

    private func stop(_ mount: ServedMount) async {
        if let problem = await detach(mount, isLazy: false) {
            logger.warning("\(mount.source): \(problem); its users are cut off")
            let directory = mount.directory
            _ = await Self.blocking { FUSEMount.writeBack(directory) }
            _ = await cutOff(mount)
        }
        let source = mount.source
        let logger = logger
        await withTaskGroup { group in
            group.addTask {
                await mount.waitForEnd()
                return true
            }
            group.addTask {
                try? await Task.sleep(for: Self.stopTimeout)
                return false
            }
            let isClean = await group.next() ?? false
            if !isClean { logger.error("\(source): not unmounted in time; its journal covers what is missing") }
            group.cancelAll()
            if !isClean { mount.abandonWaiting() }
        }
    }

    // MARK: Blocking calls

    static func blocking<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        // The pool refuses the work of a task that was cancelled, and the end of the daemon cancels many: in a task of its own.
        let task = Task { try await NIOThreadPool.singleton.runIfActive { work() } }
        do {
            return try await task.value
        } catch {
            preconditionFailure("the pool of threads for blocking calls is gone: \(error)")
        }
    }
}

/// Why something cannot be mounted, for a person.
struct MountFailure: Error {
    var text: String
}

extension ServedMount.Failure {
    func text(source: String) -> String {
        switch self {
        case .mount(let error): error.text(source: source)
        case .cluster(let failure): "\(source) cannot be mounted: \(failure.text)"
        case .refused(.isSecondary): "\(source) is Secondary: make it Primary first, yoke drbdadm primary"
        case .peerIsPrimary:
            "the peer of \(source) is Primary and may have it mounted, and this host is in no cluster: make both nodes "
                + "in /etc/ocfs2/cluster.conf, then yoke o2cb register-cluster; or make the peer Secondary (yoke drbdadm "
                + "secondary)"
        case .refused(.hasNoSize): "\(source) has neither a disk nor a peer with one"
        case .refused(.noSuchVolume), .refused(.isEnding), .ended: "\(source) is being taken down"
        }
    }
}

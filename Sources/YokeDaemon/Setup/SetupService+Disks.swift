internal import Configuration
internal import Glibc
internal import LinuxReactor
internal import NIOPosix
internal import Replication
internal import YokeControl

// attach and disk-options. Spec: drbd-disk-and-state 8.1.
extension SetupService {
    func attach(
        _ call: SetupInvocation, _ minor: Int, _ device: ResourceRegistry.Device, _ output: any CommandOutput
    ) async -> Int32 {
        let object = "\(minor)"
        let runner = device.runner
        let volume = device.volume
        if await runner.ask({ $0.record(of: volume)?.dataDisk != nil }) == true {
            return output.failure(object, .alreadyAttached)
        }
        let disks: OpenedDisks
        do throws(OptionFailure) {
            disks = try await open(call)
        } catch {
            return output.failure(object, error.number, info: error.info)
        }
        let entries = call.entries
        let options = DiskOptions(entries)
        if let failure = await checkResyncAfter(options, of: minor) { return output.answer(object, failure) }
        let result = await runner.execute(.attach(volume, disks.device, options)) { runner in
            guard let record = runner.record(of: volume) else {
                return .failed(.invalidRequest, info: "the volume is gone")
            }
            // Another attach may have come first while this one opened its devices.
            guard record.dataDisk == nil else { return .failed(.alreadyAttached, info: nil) }
            runner.adopt(disks, for: record)
            record.diskEntries = entries
            return nil
        }
        await host.roleMayHaveChanged(device)
        return output.answer(object, result)
    }

    /// Opens both devices; they may have to be waited for, so on a thread of their own.
    private func open(_ call: SetupInvocation) async throws(OptionFailure) -> OpenedDisks {
        let (lower, meta, index) = (call.arguments[1], call.arguments[2], call.arguments[3])
        let place: BackingDevice.MetadataPlace
        switch index {
        case "internal", "flex-internal": place = .internal
        case "flexible", "flex-external": place = .flexibleExternal
        default:
            guard let number = Int(index), number >= 0, number <= 1_048_575 else {
                throw OptionFailure(
                    number: .invalidMetadataIndex, info: "'\(index)' is neither internal, flexible nor a number")
            }
            place = .indexed(number)
        }
        let lowerPath = paths.resolveDevice(lower)
        let metaPath = paths.resolveDevice(meta)
        guard (place == .internal) == (lowerPath == metaPath) else {
            throw OptionFailure(number: .invalidMetadataIndex, info: nil)
        }
        let shown = BackingPaths(disk: lower, metaDisk: meta, index: Self.shownIndex(place))
        return try await Self.offThread { () throws(OptionFailure) -> OpenedDisks in
            let data = try Self.open(lowerPath, .exclusive, missing: .cannotOpenBackingDevice, .backingDeviceClaimed)
            if place == .internal { return OpenedDisks(data: data, metadata: data, paths: shown, place: place) }
            var claim = DiskFile.Claim.exclusive
            if case .indexed = place { claim = .sharedWithinProcess }
            let metadata = try Self.open(
                metaPath, claim, missing: .cannotOpenMetadataDevice, .metadataDeviceClaimed)
            return OpenedDisks(data: data, metadata: metadata, paths: shown, place: place)
        }
    }

    private static func shownIndex(_ place: BackingDevice.MetadataPlace) -> String {
        switch place {
        case .internal: "internal"
        case .flexibleExternal: "flexible"
        case .indexed(let number): "\(number)"
        }
    }

    private static func open(
        _ path: String, _ claim: DiskFile.Claim, missing: ErrorNumber, _ claimed: ErrorNumber
    ) throws(OptionFailure) -> DiskFile {
        do throws(SystemError) {
            return try DiskFile.open(path: path, access: .readWrite, claim: claim)
        } catch {
            if error.code == EBUSY {
                throw OptionFailure(
                    number: claimed, info: "\(path) is in use: by another resource, another yoked, or a mount")
            }
            if error.code == ENOTBLK {
                throw OptionFailure(
                    number: missing == .cannotOpenBackingDevice ? .backingIsNoBlockDevice : .metadataIsNoBlockDevice,
                    info: "\(path) is neither a block device nor a file")
            }
            throw OptionFailure(number: missing, info: "\(error)")
        }
    }

    /// Runs blocking work on a thread that may block.
    private static func offThread<Value: Sendable>(
        _ work: @escaping @Sendable () throws(OptionFailure) -> Value
    ) async throws(OptionFailure) -> Value {
        let result = try? await NIOThreadPool.singleton.runIfActive { () -> Result<Value, OptionFailure> in
            do throws(OptionFailure) {
                return .success(try work())
            } catch {
                return .failure(error)
            }
        }
        guard let result else { throw OptionFailure(number: .outOfMemory, info: "no thread to open the disk") }
        return try result.get()
    }

    func diskOptions(
        _ call: SetupInvocation, _ minor: Int, _ device: ResourceRegistry.Device, _ output: any CommandOutput
    ) async -> Int32 {
        let volume = device.volume
        let old = await device.runner.ask { $0.record(of: volume)?.diskEntries ?? [] } ?? []
        let entries = merge(old, call).filter { $0.section == .disk }
        let options = DiskOptions(entries)
        if let failure = await checkResyncAfter(options, of: minor) { return output.answer("\(minor)", failure) }
        let result = await device.runner.execute(.diskOptions(volume, options))
        if Self.isGood(result) {
            _ = await device.runner.ask { $0.record(of: volume)?.diskEntries = entries }
        }
        return output.answer("\(minor)", result)
    }

    /// Spec: drbd-disk-and-state 8.1 (10).
    private func checkResyncAfter(_ options: DiskOptions, of minor: Int) async -> CommandResult? {
        guard let first = options.resyncAfterMinor else { return nil }
        guard registry.device(first) != nil else { return .failed(.resyncAfterInvalid, info: nil) }
        var next: Int? = first
        var visited: Set<Int> = []
        while let current = next {
            if current == minor { return .failed(.resyncAfterCycle, info: nil) }
            guard visited.insert(current).inserted, let device = registry.device(current) else { return nil }
            let volume = device.volume
            next =
                await device.runner.ask { runner -> Int? in
                    DiskOptions(runner.record(of: volume)?.diskEntries ?? []).resyncAfterMinor
                } ?? nil
        }
        return nil
    }
}

package import EngineKit
package import FileSystem

/// Random operations on a volume and on a ``TreeModel`` beside it; both must answer the same. When several hosts have the
/// volume mounted, each operation is one of any of them, and finds what those before it did on the others.
///
/// One step is one operation. What it was, and what was durable when it had ended, is noted for those who cut the power.
package final class Workload {
    /// One for each host.
    package let volumes: [MountedVolume]
    /// The host of the present step.
    var host = 0
    package let environment: any EngineEnvironment
    /// The directory of the root that it works in; nil: the root.
    package let top: [UInt8]?
    let random: SeededRandom
    package internal(set) var model: TreeModel
    /// The inodes of nodes that are in use, referenced, of each host.
    private var inodesOfHosts: [[Int: Inode]]
    var handles: [(host: Int, node: Int, mode: OpenMode)] = []

    /// How many different names there are.
    package var nameCount: UInt64 = 60
    /// Bytes in all files above which files are cut and removed.
    package var byteCountMax = 8 << 20
    /// One line for each step.
    package var trace: ((String) -> Void)?
    /// An error of the device ends the workload instead of being a failure.
    package var expectsDeviceErrors = false

    /// The device's error that ended it.
    package internal(set) var deviceError: FileSystemError?
    package private(set) var stepCount = 0
    package internal(set) var refusedCount = 0
    package private(set) var history: WorkloadHistory
    /// The model as the present step found it.
    var before = TreeModel()
    /// Operations that a full volume refused.
    package private(set) var noSpaceCount = 0
    /// What the present step is.
    var operation = ""
    /// Nodes whose contents are durable when the step has ended.
    var syncedNodes: [Int] = []
    /// The last step whose names are durable when this one has ended.
    var durableStep = 0

    /// - Parameter model: what is on the volume already.
    package convenience init(
        volume: MountedVolume, environment: any EngineEnvironment, model: TreeModel, top: [UInt8]? = nil, seed: UInt64
    ) {
        self.init(volumes: [volume], environment: environment, model: model, top: top, seed: seed)
    }

    package init(
        volumes: [MountedVolume], environment: any EngineEnvironment, model: TreeModel, top: [UInt8]? = nil,
        seed: UInt64
    ) {
        self.volumes = volumes
        inodesOfHosts = volumes.map { _ in [:] }
        self.top = top
        self.environment = environment
        self.model = model
        random = SeededRandom(seed: seed)
        history = WorkloadHistory(model)
    }

    /// The volume as the present step's host has it.
    package var volume: MountedVolume { volumes[host] }

    /// Those of the present step's host.
    var inodes: [Int: Inode] {
        get { inodesOfHosts[host] }
        set { inodesOfHosts[host] = newValue }
    }

    /// One operation. Afterwards ``settle()``.
    package func step() async throws(SimulationFailure) {
        stepCount += 1
        if volumes.count > 1 { host = Int(random.next(below: UInt64(volumes.count))) }
        model.step = stepCount
        before = model
        operation = ""
        do throws(SimulationFailure) {
            try await chooseStep()
        } catch {
            throw SimulationFailure("step \(stepCount), \(operation): \(error)")
        }
        let place = volumes.count > 1 ? "host \(host): " : ""
        trace?("\(stepCount) \(place)\(operation)\(deviceError.map { ": \($0)" } ?? "")")
        history.note(model, before: before, step: stepCount)
        before = TreeModel()
        await releaseSome()
    }

    /// What the last step made durable counts from now on.
    package func settle() {
        guard deviceError == nil else { return }
        for node in syncedNodes { model.nodes[node]?.content.synced() }
        syncedNodes = []
        history.becameDurable(step: durableStep)
    }

    /// After an unmount everything is durable.
    package func becameDurableByUnmount() {
        for node in model.regularFiles { model.nodes[node]!.content.synced() }
        history.becameDurable(step: stepCount)
    }

    /// Closes what is open and lets go of all inodes. The model stays as it is: what was open may be there after a crash.
    package func finish() async {
        for handle in handles {
            host = handle.host
            if let inode = inodes[handle.node] { await volume.closeFile(inode, handle.mode) }
        }
        handles = []
        for index in volumes.indices {
            host = index
            for node in inodes.keys.sorted() { inodes[node]!.release() }
            inodes = [:]
        }
    }

    private func chooseStep() async throws(SimulationFailure) {
        let isFull = model.byteCount > byteCountMax || model.nodes.count > 400
        switch random.next(below: 100) {
        case 0..<14: if isFull { try await unlink() } else { try await create() }
        case 14..<17: try await link()
        case 17..<27: try await unlink()
        case 27..<30: try await removeDirectory()
        case 30..<39: try await rename()
        case 39..<61: if isFull { try await truncate() } else { try await write() }
        case 61..<67: try await truncate()
        case 67..<70: try await allocate()
        case 70..<73: try await punch()
        case 73..<78: try await read()
        case 78..<79: try await list()
        case 79..<80: try await listAttributes()
        case 80..<81: try await changeMode()
        case 81..<83: if isFull { try await removeAttribute() } else { try await setAttribute() }
        case 83..<87: try await openOrClose()
        case 87..<94: try await sync()
        case 94..<95: try await syncVolume()
        case 95..<97: try await copyRange()
        case 97..<98: try await seek()
        case 98..<99: try await removeAttribute()
        default:
            operation = "sleep"
            await environment.sleep(until: environment.now + .milliseconds(Int(random.next(below: 6000))))
        }
    }

    // MARK: Inodes

    /// The inode of a node, found by its path if it is not in use.
    func inode(of node: Int) async throws(FileSystemError) -> Inode {
        if let known = inodes[node] { return known }
        let found: Inode
        if node == TreeModel.root {
            found = try await volume.topDirectory(top)
        } else {
            let place = model.nodes[node]!.places[0]
            found = try await volume.lookup(FileName(place.name), in: try await inode(of: place.directory))
        }
        inodes[node] = found
        return found
    }

    /// Lets go of inodes whose node is gone, and sometimes of others.
    private func releaseSome() async {
        let host = host
        defer { self.host = host }
        for index in volumes.indices {
            self.host = index
            for node in inodes.keys.sorted() {
                let modelled = model.nodes[node]
                let isNeeded = volumes.count > 1 ? isOpenHere(node) : (modelled?.openCount ?? 0) > 0
                let isUnlinked = volumes.count == 1 && modelled?.links ?? 0 == 0
                guard modelled == nil || (!isNeeded && !isUnlinked && random.next(below: 8) == 0) else { continue }
                inodes[node]!.release()
                inodes[node] = nil
            }
        }
    }

    private func isOpenHere(_ node: Int) -> Bool { handles.contains { $0.host == host && $0.node == node } }

    /// One of the nodes that the present step's host can reach: by a name, or because it has it open.
    func pick(_ list: [Int]) -> Int? {
        var list = list
        if volumes.count > 1 { list.removeAll { model.nodes[$0]!.links == 0 && !isOpenHere($0) } }
        return list.isEmpty ? nil : list[Int(random.next(below: UInt64(list.count)))]
    }

    /// The `n`th name always has the same bytes; most are short.
    func name() -> [UInt8] {
        let index = random.next(below: nameCount)
        let bytes = SeededRandom(seed: 1000 + index)
        let count = 1 + bytes.next(below: index % 8 == 0 ? 200 : 12)
        return (0..<count).map { _ in UInt8(0x61 + bytes.next(below: 26)) }
    }

    // MARK: Comparing

    /// Runs an operation on both sides and compares what they throw.
    ///
    /// - Parameter real: after the model has done its part; not run on a model that refuses unless the volume must refuse
    ///   too.
    func compare<Result>(
        _ modelled: (inout TreeModel) throws(FileSystemError) -> Result,
        real: (Result?) async throws(FileSystemError) -> Void
    ) async throws(SimulationFailure) {
        var expected: FileSystemError?, found: FileSystemError?, result: Result?
        do throws(FileSystemError) {
            result = try modelled(&model)
        } catch {
            expected = error
        }
        do throws(FileSystemError) {
            try await real(result)
        } catch {
            found = error
        }
        if let found, found != expected, isDeviceError(found) {
            deviceError = found
            return
        }
        if found == .noSpace, expected == nil { return try await undoForLackOfSpace() }
        guard found == expected else {
            throw SimulationFailure(
                "answered \(found.map { "\($0)" } ?? "success") instead of \(expected.map { "\($0)" } ?? "success")")
        }
        if expected != nil { refusedCount += 1 }
    }

    /// Runs what cannot fail but by the device; nil if it did.
    func done<Result>(_ body: () async throws(FileSystemError) -> Result) async throws(SimulationFailure) -> Result? {
        do throws(FileSystemError) {
            return try await body()
        } catch {
            if error == .noSpace {
                try await undoForLackOfSpace()
                return nil
            }
            guard isDeviceError(error) else { throw SimulationFailure("answered \(error)") }
            deviceError = error
            return nil
        }
    }

    /// The operation was refused because the volume is full: nothing has changed. That must be true, and what was
    /// accepted before must not fail for it.
    private func undoForLackOfSpace() async throws(SimulationFailure) {
        let isSync = ["fsync", "fdatasync", "sync", "close"].contains { operation.hasPrefix($0) }
        let space = try? await volume.statistics()
        guard !isSync, let space, space.freeBlockCount < space.blockCount / 6 else {
            throw SimulationFailure(
                "answered noSpace, \(space.map { "\($0.freeBlockCount)" } ?? "?") clusters are free")
        }
        noSpaceCount += 1
        model = before
    }

    private func isDeviceError(_ error: FileSystemError) -> Bool {
        guard expectsDeviceErrors else { return false }
        switch error {
        case .device, .aborted, .readOnly: return true
        default: return false
        }
    }
}

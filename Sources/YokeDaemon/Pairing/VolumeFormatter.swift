internal import Dispatch
internal import EngineKit
internal import Glibc
internal import LayoutKit
internal import LinuxReactor
internal import OCFS2Layout
internal import Pairing
internal import Replication
internal import VolumeTools

/// Makes the filesystem on a replicated volume, through the replication: both hosts have it afterwards.
enum VolumeFormatter {
    /// On a thread that may block. The volume is Primary here and nobody uses it.
    ///
    /// - Parameter isZero: the volume reads as zeroes, so what must be zero need not be written.
    static func format(
        _ runner: ResourceRunner, _ volume: VolumeNumber, label: String, cluster: String, isZero: Bool
    ) -> PairingRefusal? {
        var options = FormatOptions()
        options.blockSize = 4096
        options.clusterSize = 4096
        options.slots = 2
        options.label = label
        options.clusterStack = "o2cb"
        options.clusterName = cluster
        do {
            let device = try ReplicatedOfflineDevice(runner, volume, isZero: isZero)
            defer { device.close() }
            let format = try VolumeFormat(options, deviceByteCount: device.byteCount)
            try VolumeWriter.write(VolumePlan(format, identity()), to: device)
            return nil
        } catch let refusal as FormatRefusal {
            return PairingRefusal("the filesystem cannot be made: \(refusal.text)")
        } catch let error as OfflineDeviceError {
            return PairingRefusal("the filesystem cannot be made: \(error.description)")
        } catch {
            return PairingRefusal("the filesystem cannot be made: \(error)")
        }
    }

    private static func identity() -> FormatIdentity {
        let random = SystemRandom()
        let (first, second, third, fourth) = (random.next(), random.next(), random.next(), random.next())
        var uuid = FixedBytes16 { UInt8(truncatingIfNeeded: ($0 < 8 ? first : second) >> UInt64(8 * ($0 & 7))) }
        // A random UUID says that it is one: version 4, variant 1.
        uuid[6] = uuid[6] & 0x0f | 0x40
        uuid[8] = uuid[8] & 0x3f | 0x80
        return FormatIdentity(
            uuid: uuid, generation: UInt32(truncatingIfNeeded: third),
            indexSeed: IndexSeed(
                UInt32(truncatingIfNeeded: third >> 32), UInt32(truncatingIfNeeded: fourth),
                UInt32(truncatingIfNeeded: fourth >> 32)),
            time: UInt64(time(nil)))
    }
}

/// A replicated volume for an offline tool that runs in the daemon, on a thread of its own: each call posts to the
/// reactor and waits.
///
/// `@unchecked Sendable`: the device is touched on the reactor's thread only; the caller waits meanwhile.
private final class ReplicatedOfflineDevice: OfflineDevice, @unchecked Sendable {
    private static let pieceByteCount = 1 << 20
    /// Longer than a peer that does not answer is waited for.
    private static let timeoutSeconds = 120

    private let runner: ResourceRunner
    private let path: String
    private let isZero: Bool
    private var device: ReplicatedDevice?
    private(set) var byteCount: UInt64 = 0
    let sectorSize = 512

    init(_ runner: ResourceRunner, _ volume: VolumeNumber, isZero: Bool) throws(OfflineDeviceError) {
        self.runner = runner
        self.isZero = isZero
        path = "\(runner.name)/\(volume)"
        let errno = wait { [self] done in
            do throws(OpenRefusal) {
                let device = try ReplicatedDevice(runner: runner, volume: volume)
                self.device = device
                byteCount = device.byteCount
                done(0)
            } catch {
                done(error.errno)
            }
        }
        guard errno == 0 else { throw .cannotOpen(path: path, code: errno) }
    }

    func close() {
        _ = wait { [self] done in
            device?.close()
            device = nil
            done(0)
        }
    }

    func read(at offset: UInt64, count: Int) throws(OfflineDeviceError) -> [UInt8] {
        try requireInside(offset, count)
        let buffer = IOBuffer(byteCount: count)
        let slice = IOSlice(buffer: buffer, offset: 0, count: count)
        let errno = perform(BlockTransfer(.read, at: offset, byteCount: count, data: slice))
        guard errno == 0 else { throw .cannotRead(path: path, offset: offset, code: errno) }
        return Array(slice.bytes)
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(OfflineDeviceError) {
        try requireInside(offset, bytes.count)
        var done = 0
        while done < bytes.count {
            let count = min(Self.pieceByteCount, bytes.count - done)
            let slice = IOSlice(buffer: IOBuffer(byteCount: count), offset: 0, count: count)
            slice.bytes.copyBytes(from: bytes[done..<done + count])
            let place = offset + UInt64(done)
            let errno = perform(
                BlockTransfer(.write(forceUnitAccess: false), at: place, byteCount: count, data: slice))
            guard errno == 0 else { throw .cannotWrite(path: path, offset: place, code: errno) }
            done += count
        }
    }

    func clear(_ range: Range<UInt64>) throws(OfflineDeviceError) {
        guard !isZero else { return }
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = Int(min(range.upperBound - offset, UInt64(Self.pieceByteCount)))
            try write([UInt8](repeating: 0, count: count), at: offset)
            offset += UInt64(count)
        }
    }

    func flush() throws(OfflineDeviceError) {
        let errno = perform(BlockTransfer(.flush))
        guard errno == 0 else { throw .cannotWrite(path: path, offset: 0, code: errno) }
    }

    private func requireInside(_ offset: UInt64, _ count: Int) throws(OfflineDeviceError) {
        guard offset <= byteCount, UInt64(count) <= byteCount - offset else {
            throw .beyondEnd(path: path, offset: offset, byteCount: byteCount)
        }
    }

    /// The transfer's buffer belongs to the reactor until the answer.
    private func perform(_ transfer: BlockTransfer) -> Int32 {
        nonisolated(unsafe) let transfer = transfer
        return wait { [self] done in
            guard let device else { return done(ENXIO) }
            device.submit(transfer) { done($0) }
        }
    }

    /// Runs `body` on the reactor's thread and waits for its answer.
    private func wait(_ body: @escaping @Sendable (_ done: @escaping (Int32) -> Void) -> Void) -> Int32 {
        let answer = Answer()
        runner.reactor.post { body { answer.give($0) } }
        return answer.wait(seconds: Self.timeoutSeconds)
    }

    /// `@unchecked Sendable`: written before the signal, read behind the wait.
    private final class Answer: @unchecked Sendable {
        private let semaphore = DispatchSemaphore(value: 0)
        private var errno = ETIMEDOUT

        func give(_ errno: Int32) {
            self.errno = errno
            semaphore.signal()
        }

        func wait(seconds: Int) -> Int32 {
            semaphore.wait(timeout: .now() + .seconds(seconds)) == .success ? errno : ETIMEDOUT
        }
    }
}

import EngineKit
import EngineSimulation
import JournalLayout
import Testing

@testable import Journal

/// A disk with a journal on it, made as mkfs makes one.
final class JournalFixture {
    let environment: VirtualEnvironment
    let device: MemoryDevice
    let runs: [Journal.Run]
    let sealer = CountingSealer()
    private(set) var cache: BlockCache
    var options = Journal.Options()

    static let blockSize = 1024
    static let deviceBlockCount = 16384

    /// - Parameter features: of the journal's superblock.
    init(
        runs: [Journal.Run] = [Journal.Run(block: 600, blockCount: 700), Journal.Run(block: 4000, blockCount: 324)],
        features: JournalFeatures = [], seed: UInt64 = 1, cacheByteCount: Int = 1 << 20, device: MemoryDevice? = nil
    ) {
        environment = VirtualEnvironment(seed: seed)
        self.runs = runs
        if let device {
            self.device = device.copy(environment: environment)
        } else {
            self.device = MemoryDevice(
                byteCount: UInt64(Self.deviceBlockCount * Self.blockSize), environment: environment)
            var block = [UInt8](repeating: 0, count: Self.blockSize)
            block.withUnsafeMutableBytes {
                JournalSuperblock(
                    blockSize: UInt32(Self.blockSize), blockCount: UInt32(runs.reduce(0) { $0 + $1.blockCount }),
                    uuid: [UInt8](repeating: 7, count: 16), features: features
                ).encode(into: $0)
            }
            self.device.put(block, at: runs[0].block)
        }
        cache = BlockCache(device: self.device, blockSize: Self.blockSize, byteCountMax: cacheByteCount)
    }

    /// A journal that has not been started.
    func journal() -> Journal {
        Journal(cache: cache, runs: runs, options: options, sealer: sealer, environment: environment)
    }

    func started() throws -> Journal {
        let journal = journal()
        try environment.wait { () async throws(JournalError) in try await journal.start() }
        return journal
    }

    func superblock() throws -> JournalSuperblock {
        try device.block(runs[0].block).withUnsafeBytes { bytes in try JournalSuperblock(decoding: bytes) }
    }

    /// Writes `value` to the first eight bytes of each block in one handle.
    @discardableResult
    func change(_ journal: Journal, _ blocks: [UInt64], to value: UInt64) throws -> UInt64 {
        try environment.wait { [cache] () async throws(JournalError) in
            let handle = try await journal.begin(credits: blocks.count)
            for number in blocks {
                let block = cache.fresh(number)
                block.bytes.storeBytes(of: value, as: UInt64.self)
                handle.modify(block)
            }
            handle.end()
            return handle.transaction
        }
    }

    func commit(_ journal: Journal) throws {
        try environment.wait { () async throws(JournalError) in try await journal.commit(journal.runningTransaction) }
    }

    func flush(_ journal: Journal) throws {
        try environment.wait { () async throws(JournalError) in try await journal.flush() }
    }

    @discardableResult
    func replay() throws -> Int {
        try environment.wait { [cache, runs, environment] () async throws(JournalError) in
            try await Journal.replay(cache: cache, runs: runs, environment: environment)
        }
    }

    /// What lies in the block's place on disk.
    func value(_ block: UInt64) -> UInt64 {
        device.block(block).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }
}

/// Marks every image, so that tests see what was sealed.
final class CountingSealer: BlockSealer {
    private(set) var count = 0

    func seal(_ image: UnsafeMutableRawBufferPointer, number: UInt64, kind: UInt8) {
        count += 1
        image[image.count - 1] = 0x5E
        image[image.count - 2] = kind
    }
}

extension MemoryDevice {
    func block(_ number: UInt64) -> [UInt8] {
        bytes(at: number * UInt64(JournalFixture.blockSize), count: JournalFixture.blockSize)
    }

    func put(_ bytes: [UInt8], at block: UInt64) {
        bytes.withUnsafeBytes { write(at: block * UInt64(JournalFixture.blockSize), $0) }
    }
}

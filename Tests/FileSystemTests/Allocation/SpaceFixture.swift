import EngineKit
import EngineSimulation
import Journal
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem

func makeGeometry() throws -> VolumeGeometry {
    try VolumeGeometry(blockSizeBits: 10, clusterSizeBits: 12)
}

/// A mounted volume whose space a test takes and gives back by hand.
struct SpaceFixture {
    let image: VolumeImage
    let volume: MountedVolume

    init(image: VolumeImage, volume: MountedVolume) {
        self.image = image
        self.volume = volume
    }

    init(_ recipe: VolumeImage.Recipe = .init(), _ options: MountOptions = MountOptions()) throws {
        image = try VolumeImage.make(recipe)
        volume = try image.mount(options)
    }

    var space: SpaceBook { volume.space! }

    func run<Result>(
        _ body: @escaping () async throws(FileSystemError) -> Result
    ) throws(FileSystemError) -> Result {
        try image.environment.wait { () async throws(FileSystemError) -> Result in try await body() }
    }

    /// Takes `count` clusters as data would be written: reserved, then marked, a run at a time.
    func takeClusters(_ count: Int, atMost: Int = 64) throws -> [ClusterRun] {
        try run { () async throws(FileSystemError) -> [ClusterRun] in
            var runs: [ClusterRun] = []
            var missing = count
            while missing > 0 {
                let reserved = try await volume.reserveRun(atMost: min(atMost, missing), near: nil)
                let run = reserved.run
                let credits = Credits.clusterAllocation
                try await volume.transaction(credits: credits) { handle async throws(FileSystemError) in
                    try await volume.commitRun(reserved, count: Int(run.count), handle)
                }
                runs.append(run)
                missing -= Int(run.count)
            }
            return runs
        }
    }

    func free(_ runs: [ClusterRun]) throws {
        try run { () async throws(FileSystemError) in
            for run in runs {
                let room = try await volume.prepareToFree()
                defer { room.release() }
                try await volume.transaction(credits: Credits.clusterFree) { handle async throws(FileSystemError) in
                    try await volume.freeClusters(run, handle)
                }
            }
        }
    }

    func takeBlocks(_ count: Int) throws -> [ClaimedBlock] {
        try run { () async throws(FileSystemError) -> [ClaimedBlock] in
            var blocks: [ClaimedBlock] = []
            while blocks.count < count {
                let batch = min(20, count - blocks.count)
                let reservation = try await volume.reserve(SpaceNeeds(metadataBlocks: batch))
                defer { reservation.release() }
                let credits = batch * Credits.suballocation
                try await volume.transaction(credits: credits) { handle async throws(FileSystemError) in
                    for _ in 0..<batch { blocks.append(try await reservation.claimMetadataBlock(handle)) }
                }
            }
            return blocks
        }
    }

    func free(_ blocks: [ClaimedBlock]) throws {
        try run { () async throws(FileSystemError) in
            for block in blocks {
                let lock = try await volume.lockForFreeing(block.place, block.number)
                defer { lock.release() }
                let credits = Credits.suballocationFree
                try await volume.transaction(credits: credits) { handle async throws(FileSystemError) in
                    try await volume.freeMetadataBlock(block.place, block.number, handle)
                }
            }
        }
    }

    /// Clusters in use after everything was given back.
    var usedClusters: UInt32 { space.bitmap.total - UInt32(space.available) }
}

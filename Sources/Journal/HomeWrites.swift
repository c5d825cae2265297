import EngineKit

/// An image that goes to its place on the volume.
struct HomeImage {
    var block: UInt64
    var slice: IOSlice
}

/// The writes that bring images to their places: neighbours together, whether or not they are in memory.
struct HomeWrites {
    private(set) var transfers: [BlockTransfer] = []

    private static let byteCountMax = 1 << 20

    /// - Parameter images: ascending by block, each block once.
    init(_ images: [HomeImage], cache: BlockCache) {
        let blockSize = cache.blockSize
        var first = 0
        while first < images.count {
            var next = first + 1
            while next < images.count, images[next].block == images[first].block + UInt64(next - first),
                (next - first + 1) * blockSize <= Self.byteCountMax
            {
                next += 1
            }
            let run = images[first..<next]
            let byteCount = run.count * blockSize
            let slice = run.count == 1 ? images[first].slice : Self.joined(run, cache)
            transfers.append(
                BlockTransfer(
                    .write(forceUnitAccess: false), at: cache.byteOffset(of: images[first].block),
                    byteCount: byteCount, data: slice))
            first = next
        }
    }

    private static func joined(_ run: ArraySlice<HomeImage>, _ cache: BlockCache) -> IOSlice {
        let byteCount = run.count * cache.blockSize
        let all = IOSlice(buffer: cache.buffers.take(byteCount: byteCount), offset: 0, count: byteCount)
        for (index, image) in run.enumerated() {
            let target = all.part(offset: index * cache.blockSize, count: cache.blockSize)
            target.bytes.copyMemory(from: UnsafeRawBufferPointer(image.slice.bytes))
        }
        return all
    }
}

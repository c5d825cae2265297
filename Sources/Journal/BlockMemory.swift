import EngineKit

/// Memory for blocks of one size, cut from large buffers so that small blocks do not cost a page each.
///
/// What was taken once is kept for the next block: the peak of the cache bounds it.
final class BlockMemory {
    struct Place {
        fileprivate var slab: Int
        fileprivate var index: Int

        static let none = Place(slab: -1, index: -1)
    }

    private static let slabByteCount = 256 << 10

    private let blockSize: Int
    private var slabs: [IOBuffer] = []
    private var free: [Place] = []

    init(blockSize: Int) {
        precondition(blockSize > 0 && Self.slabByteCount % blockSize == 0, "a block of \(blockSize) bytes")
        self.blockSize = blockSize
    }

    /// Room for one block, not initialised.
    func take() -> (Place, IOSlice) {
        if free.isEmpty { addSlab() }
        let place = free.removeLast()
        return (place, IOSlice(buffer: slabs[place.slab], offset: place.index * blockSize, count: blockSize))
    }

    func giveBack(_ place: Place) {
        free.append(place)
    }

    private func addSlab() {
        let slab = slabs.count
        slabs.append(IOBuffer(byteCount: Self.slabByteCount))
        for index in (0..<Self.slabByteCount / blockSize).reversed() { free.append(Place(slab: slab, index: index)) }
    }
}

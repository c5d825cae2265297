internal import EngineKit
internal import LayoutKit
internal import OCFS2Layout

/// A bitmap in memory that lies over one on disk: bits that are free there but spoken for.
struct BitOverlay {
    private let buffer: IOBuffer
    private let bitCount: Int

    /// No bit is set.
    init(bitCount: Int) {
        self.bitCount = bitCount
        buffer = IOBuffer(byteCount: bitCount / 8 + 8)
        buffer.base.initializeMemory(as: UInt8.self, repeating: 0, count: buffer.capacity)
    }

    var bitmap: BitmapView {
        BitmapView(
            UnsafeMutableRawBufferPointer(start: buffer.base, count: buffer.capacity), bitCount: bitCount)
    }
}

import EngineKit
import Testing

@testable import Replication

/// Spec: drbd-disk-and-state 19.2, drbd-wire 11.2.
struct ResyncRequestFormerTests {
    private let limits = ResyncRequestFormer.Limits(byteCountMax: 1 << 20)

    private func requests(
        _ bitmap: Bitmap, budget: Int = .max / 2, limits: ResyncRequestFormer.Limits? = nil
    ) -> [ResyncRequestFormer.Request] {
        var former = ResyncRequestFormer()
        var budget = budget
        var formed: [ResyncRequestFormer.Request] = []
        while budget > 0, let bit = former.candidate(in: bitmap) {
            formed.append(former.form(from: bit, in: bitmap, limits: limits ?? self.limits, budget: &budget))
        }
        return formed
    }

    @Test("the requests seen for the bitmap of the worked example")
    func seen() {
        let bitmap = Bitmap(sectors: 204_720)
        for bits in [0..<16, 100..<103, 300..<301, 5000..<5002, 9000..<9001] { bitmap.setBits(bits) }
        let formed = requests(bitmap)
        #expect(formed.map(\.sector) == [0, 800, 2400, 40000, 72000])
        #expect(formed.map(\.byteCount) == [65536, 12288, 4096, 8192, 4096])
    }

    @Test("a full bitmap goes in requests of 1 MiB, the last one shorter")
    func fullBitmap() {
        let bitmap = Bitmap(sectors: 204_720)
        bitmap.setAll()
        let formed = requests(bitmap)
        #expect(formed.count == 100)
        #expect(formed[..<99].allSatisfy { $0.byteCount == 1 << 20 })
        #expect(formed.last?.byteCount == 204_720 * 512 - 99 << 20)
    }

    @Test("every request obeys the rules of shape", arguments: 0..<20)
    func shape(seed: UInt64) {
        let random = SeededRandom(seed: seed)
        let bitmap = Bitmap(sectors: 100_000 + random.next(below: 9))
        for _ in 0..<60 {
            let first = Int(random.next(below: UInt64(bitmap.bitCount)))
            bitmap.setBits(first..<first + 1 + Int(random.next(below: 500)))
        }
        let total = bitmap.setBitCount
        let limits = ResyncRequestFormer.Limits(byteCountMax: 4096 << random.next(below: 9))
        var blocks = 0
        for request in requests(bitmap, limits: limits) {
            let (first, count) = (Int(request.sector / 8), request.blockCount)
            #expect(request.sector % 8 == 0)
            #expect(request.byteCount <= limits.byteCountMax)
            #expect(first / 4096 == (first + count - 1) / 4096, "one resync extent")
            var power = 1
            while power < count { power *= 2 }
            #expect(first % power == 0, "\(count) blocks at \(first)")
            #expect((first..<first + count).allSatisfy { bitmap.isSet($0) })
            let end = request.sector + UInt64(request.byteCount / 512)
            #expect(request.byteCount == count * 4096 || end == bitmap.sectorCount)
            blocks += count
        }
        #expect(blocks == total, "each block once")
    }

    @Test("the last request of a tick runs one block over, when the budget ends it")
    func budget() {
        let bitmap = Bitmap(sectors: 204_720)
        bitmap.setAll()
        #expect(requests(bitmap, budget: 6).map(\.blockCount) == [7])
        #expect(requests(bitmap, budget: 1).map(\.blockCount) == [2])
        #expect(requests(bitmap, budget: 256).map(\.blockCount) == [256])
        #expect(requests(bitmap, budget: 258).map(\.blockCount) == [256, 3])
        let sparse = Bitmap(sectors: 204_720)
        for bit in [1, 3, 5] { sparse.setBits(bit..<bit + 1) }
        #expect(requests(sparse, budget: 2).map(\.blockCount) == [1, 1])
    }

    @Test("requests stop at the discard granularity")
    func granularity() {
        let bitmap = Bitmap(sectors: 8 * 64)
        bitmap.setAll()
        let limits = ResyncRequestFormer.Limits(byteCountMax: 1 << 20, discardGranularity: 65536)
        #expect(requests(bitmap, limits: limits).map(\.byteCount) == [65536, 65536, 65536, 65536])
    }

    @Test("a candidate that could not be locked stays the next one; at the end the position stays at the end")
    func candidate() {
        let bitmap = Bitmap(sectors: 8 * 100)
        bitmap.setBits(50..<51)
        var former = ResyncRequestFormer(position: 7)
        #expect(former.candidate(in: bitmap) == 50)
        #expect(former.candidate(in: bitmap) == 50)
        var budget = 1
        _ = former.form(from: 50, in: bitmap, limits: limits, budget: &budget)
        #expect(former.candidate(in: bitmap) == nil)
        #expect(former.position == 100)
    }

    @Test("the last block of the device is cut")
    func lastBlock() {
        let bitmap = Bitmap(sectors: 101)
        bitmap.setBits(12..<13)
        #expect(requests(bitmap) == [.init(sector: 96, byteCount: 5 * 512, blockCount: 1)])
    }
}

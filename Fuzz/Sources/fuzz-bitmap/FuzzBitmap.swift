import DRBDLayout
import LayoutKit

// Compressed bitmaps. The first byte chooses:
//   even  u32 bit count, u32 position, then a payload as a peer sends it
//   odd   the rest are the bits of a bitmap that is encoded in packets and decoded again

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    guard let choice = input.first else { return 0 }
    if choice & 1 == 0 {
        decodePayload(input.dropped(1), scale: UInt64(choice >> 1))
    } else {
        encodeBits(input.dropped(1), room: 9 + Int(choice >> 1))
    }
    return 0
}

private func decodePayload(_ input: UnsafeRawBufferPointer, scale: UInt64) {
    guard input.count >= 8 else { return }
    // Up to 2^51 sectors' worth of bits and beyond.
    let bitCount = UInt64(input[LE32(offset: 0)]) << (scale & 31)
    let position = UInt64(input[LE32(offset: 4)])
    var last = position
    do throws(LayoutError) {
        let end = try CompressedBitmapDecoder.decode(input.dropped(8), from: position, bitCount: bitCount) { range in
            precondition(!range.isEmpty && range.lowerBound >= last && range.upperBound <= bitCount, "run \(range)")
            last = range.upperBound
        }
        precondition(end > position && end >= last && end <= bitCount, "from \(position) to \(end) of \(bitCount)")
    } catch {
        precondition(!error.description.isEmpty)
    }
}

private func encodeBits(_ input: UnsafeRawBufferPointer, room: Int) {
    guard let first = input.first else { return }
    let bits = Bits(bytes: Array(input.dropped(1)), unused: Int(first & 7))
    guard bits.bitCount > 0 else { return }
    let geometry = BitmapGeometry(bitCount: bits.bitCount)
    var copy = [UInt8](repeating: 0, count: bits.bytes.count)
    var position: UInt64 = 0
    let packet = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 1)
    defer { packet.deallocate() }
    while position < bits.bitCount {
        guard let result = CompressedBitmapEncoder.encode(bits, from: position, into: packet) else {
            // As plain words, from the word that holds the position.
            let word = position / 64
            let end = geometry.bitPosition(afterWord: word + 1)
            for bit in word * 64..<end where bits.isSet(bit) { copy[Int(bit / 8)] |= 1 << (bit % 8) }
            position = end
            continue
        }
        let payload = UnsafeRawBufferPointer(packet).part(offset: 0, count: result.byteCount)
        do throws(LayoutError) {
            let end = try CompressedBitmapDecoder.decode(payload, from: position, bitCount: bits.bitCount) { range in
                for bit in range { copy[Int(bit / 8)] |= 1 << (bit % 8) }
            }
            precondition(end == result.nextPosition, "decoded to \(end), encoded to \(result.nextPosition)")
        } catch {
            preconditionFailure("own packet refused: \(error)")
        }
        position = result.nextPosition
    }
    precondition(copy == bits.masked, "bits changed on the way")
}

private struct Bits: BitRunSource {
    let bytes: [UInt8]
    let bitCount: UInt64

    init(bytes: [UInt8], unused: Int) {
        self.bytes = bytes
        bitCount = UInt64(max(0, bytes.count * 8 - unused))
    }

    var masked: [UInt8] {
        var copy = bytes
        for bit in bitCount..<UInt64(bytes.count * 8) { copy[Int(bit / 8)] &= ~(1 << (bit % 8)) }
        return copy
    }

    func isSet(_ position: UInt64) -> Bool {
        bytes[Int(position / 8)] >> (position % 8) & 1 == 1
    }

    func firstBit(_ value: Bool, from position: UInt64) -> UInt64 {
        var position = position
        while position < bitCount, isSet(position) != value { position += 1 }
        return position
    }
}

import DRBDLayout
package import LayoutKit

/// The bitmap as a source of runs for the code of P_COMPRESSED_BITMAP.
struct BitmapRuns: BitRunSource {
    let bitmap: Bitmap

    init(_ bitmap: Bitmap) {
        self.bitmap = bitmap
    }

    var bitCount: UInt64 { UInt64(bitmap.bitCount) }

    func isSet(_ position: UInt64) -> Bool { bitmap.isSet(Int(position)) }

    func firstBit(_ value: Bool, from position: UInt64) -> UInt64 {
        let found = value ? bitmap.nextSetBit(from: Int(position)) : bitmap.nextClearBit(from: Int(position))
        return found.map(UInt64.init) ?? bitCount
    }
}

/// Where a transfer of the whole bitmap stands. Plain words and run-length code alternate freely; both move one
/// position, which the receiver keeps alike. Spec: drbd-wire 10.4.
struct BitmapTransferPosition: Equatable {
    let geometry: BitmapGeometry
    let headerByteCount: Int
    private(set) var bit: UInt64 = 0
    private(set) var word: UInt64 = 0

    init(bitmap: Bitmap, headerByteCount: Int) {
        geometry = BitmapGeometry(bitCount: UInt64(bitmap.bitCount))
        self.headerByteCount = headerByteCount
    }

    /// Words that the next plain packet carries; 0: the empty one that ends the transfer.
    var plainWordCount: Int { geometry.packetWordCount(at: word, headerByteCount: headerByteCount) }

    var isAtEnd: Bool { bit == geometry.bitCount }

    mutating func advance(words count: Int) {
        word += UInt64(count)
        bit = geometry.bitPosition(afterWord: word)
    }

    mutating func advance(toBit position: UInt64) {
        bit = position
        word = position / 64
    }
}

/// Packets and bytes of a transfer, for the log.
package struct BitmapTransferStatistics: Equatable, Sendable {
    package var plainPackets = 0
    package var plainBytes = 0
    package var compressedPackets = 0
    package var compressedBytes = 0
}

/// Sends a bitmap, packet by packet. Spec: drbd-wire 10.
package struct BitmapSender {
    package enum Packet: Equatable, Sendable {
        /// P_BITMAP with so many bytes of payload; 0 ends the transfer.
        case plain(byteCount: Int)
        /// P_COMPRESSED_BITMAP with so many bytes of payload.
        case compressed(byteCount: Int)
    }

    package private(set) var isComplete = false
    package private(set) var statistics = BitmapTransferStatistics()

    private let bitmap: Bitmap
    private let usesRunLengthCode: Bool
    private var position: BitmapTransferPosition

    /// - Parameter headerByteCount: size of the packet headers of the connection.
    package init(bitmap: Bitmap, useRunLengthEncoding: Bool, headerByteCount: Int = 16) {
        self.bitmap = bitmap
        usesRunLengthCode = useRunLengthEncoding
        position = BitmapTransferPosition(bitmap: bitmap, headerByteCount: headerByteCount)
    }

    /// Most bytes of a payload.
    package var payloadByteCountMax: Int {
        WireConstants.bitmapPacketByteCountMax - position.headerByteCount
    }

    /// Fills in the payload of the next packet; nil when the transfer is complete. `bytes` has room for
    /// ``payloadByteCountMax``.
    package mutating func next(into bytes: UnsafeMutableRawBufferPointer) -> Packet? {
        precondition(bytes.count >= payloadByteCountMax, "room of \(bytes.count) bytes for a bitmap packet")
        guard !isComplete else { return nil }
        if usesRunLengthCode && !position.isAtEnd, let packet = nextCompressed(into: bytes) { return packet }
        let count = position.plainWordCount
        let first = Int(position.word)
        bitmap.copyWords(first..<first + count, into: bytes)
        position.advance(words: count)
        isComplete = count == 0
        statistics.plainPackets += 1
        statistics.plainBytes += count * 8
        return .plain(byteCount: count * 8)
    }

    private mutating func nextCompressed(into bytes: UnsafeMutableRawBufferPointer) -> Packet? {
        let room = UnsafeMutableRawBufferPointer(rebasing: bytes[..<payloadByteCountMax])
        guard let result = CompressedBitmapEncoder.encode(BitmapRuns(bitmap), from: position.bit, into: room) else {
            return nil
        }
        position.advance(toBit: result.nextPosition)
        isComplete = position.isAtEnd
        statistics.compressedPackets += 1
        statistics.compressedBytes += result.byteCount
        return .compressed(byteCount: result.byteCount)
    }
}

/// Receives a bitmap, packet by packet, into the own one: set bits are added. Spec: drbd-wire 10.
package struct BitmapReceiver {
    /// What the peer did wrong.
    package enum Failure: Error, Equatable, CustomStringConvertible {
        case badLength(found: Int, expected: Int, position: Int)
        case badCode(LayoutError, position: Int)
        case afterEnd

        package var description: String {
            switch self {
            case .badLength(let found, let expected, let position):
                "P_BITMAP of \(found) bytes at word \(position), expected \(expected)"
            case .badCode(let error, let position):
                "P_COMPRESSED_BITMAP at bit \(position): \(error)"
            case .afterEnd:
                "a bitmap packet after the end of the bitmap"
            }
        }
    }

    package private(set) var isComplete = false
    package private(set) var statistics = BitmapTransferStatistics()

    private let bitmap: Bitmap
    private var position: BitmapTransferPosition

    package init(bitmap: Bitmap, headerByteCount: Int = 16) {
        self.bitmap = bitmap
        position = BitmapTransferPosition(bitmap: bitmap, headerByteCount: headerByteCount)
    }

    /// P_BITMAP.
    package mutating func receivePlain(_ payload: UnsafeRawBufferPointer) throws(Failure) {
        guard !isComplete else { throw .afterEnd }
        let count = position.plainWordCount
        guard payload.count == count * 8 else {
            throw .badLength(found: payload.count, expected: count * 8, position: Int(position.word))
        }
        bitmap.merge(words: payload, atWord: Int(position.word))
        position.advance(words: count)
        isComplete = count == 0
        statistics.plainPackets += 1
        statistics.plainBytes += payload.count
    }

    /// P_COMPRESSED_BITMAP.
    package mutating func receiveCompressed(_ payload: UnsafeRawBufferPointer) throws(Failure) {
        guard !isComplete else { throw .afterEnd }
        let end: UInt64
        do throws(LayoutError) {
            end = try CompressedBitmapDecoder.decode(
                payload, from: position.bit, bitCount: position.geometry.bitCount
            ) { bitmap.setBits(Int($0.lowerBound)..<Int($0.upperBound)) }
        } catch {
            throw .badCode(error, position: Int(position.bit))
        }
        position.advance(toBit: end)
        isComplete = position.isAtEnd
        statistics.compressedPackets += 1
        statistics.compressedBytes += payload.count
    }
}

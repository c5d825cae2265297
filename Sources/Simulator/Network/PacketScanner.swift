/// A packet on its way, as an eavesdropper sees it.
package struct ObservedPacket: Sendable {
    /// Host that sent it.
    package var sender: Int
    package var command: UInt16
    package var volume: UInt16
    /// Bytes after the header.
    package var length: Int
    /// The first bytes after the header, at most ``PacketScanner/payloadMax``.
    package var payload: [UInt8]

    /// Big-endian number of 4 bytes in the payload; nil where it is shorter.
    package func number32(at offset: Int) -> UInt32? {
        guard payload.count >= offset + 4 else { return nil }
        return payload[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Big-endian number of 8 bytes in the payload; nil where it is shorter.
    package func number64(at offset: Int) -> UInt64? {
        guard payload.count >= offset + 8 else { return nil }
        return payload[offset..<offset + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// Finds the packets in one direction of a stream. Spec: drbd-wire 3.
///
/// It exists for traces and coverage marks; no checker depends on it. A stream that it does not understand is simply
/// not looked at any further.
struct PacketScanner {
    static let payloadMax = 48

    private var head: [UInt8] = []
    /// Bytes of the present packet that are not kept.
    private var skipped = 0
    private var isLost = false

    private static let shortHeader = 8
    private static let longHeader = 16

    /// Looks at the next bytes of the stream.
    mutating func scan(_ bytes: UnsafeRawBufferPointer, sender: Int, into packets: inout [ObservedPacket]) {
        var position = 0
        while position < bytes.count, !isLost {
            if skipped > 0 {
                let step = min(skipped, bytes.count - position)
                skipped -= step
                position += step
                continue
            }
            let wanted = bytesWanted
            let step = min(wanted - head.count, bytes.count - position)
            head.append(contentsOf: bytes[position..<position + step])
            position += step
            if head.count == wanted { advance(sender: sender, into: &packets) }
        }
    }

    /// Bytes of the present packet to keep before something can be said.
    private var bytesWanted: Int {
        guard head.count >= Self.shortHeader else { return Self.shortHeader }
        guard let header = headerSize else { return head.count }
        guard head.count >= header else { return header }
        return header + min(length, Self.payloadMax)
    }

    private var headerSize: Int? {
        switch number(0, 4) {
        case 0x8374_0267: Self.shortHeader
        case 0x8620_ec20: Self.longHeader
        default: nil
        }
    }

    private var length: Int {
        headerSize == Self.shortHeader ? number(6, 2) : number(8, 4)
    }

    private func number(_ offset: Int, _ count: Int) -> Int {
        head[offset..<offset + count].reduce(0) { $0 << 8 | Int($1) }
    }

    private mutating func advance(sender: Int, into packets: inout [ObservedPacket]) {
        guard let header = headerSize else {
            isLost = true
            return
        }
        guard head.count >= header, head.count == header + min(length, Self.payloadMax) else { return }
        let isShort = header == Self.shortHeader
        packets.append(
            ObservedPacket(
                sender: sender, command: UInt16(number(isShort ? 4 : 6, 2)),
                volume: isShort ? 0 : UInt16(number(4, 2)), length: length, payload: Array(head[header...])))
        skipped = length - (head.count - header)
        head.removeAll(keepingCapacity: true)
    }
}

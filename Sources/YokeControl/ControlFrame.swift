internal import FoundationEssentials

/// Framing of the control socket: a length of four bytes, big-endian, then that many bytes of JSON.
///
///     0        4                    4 + length
///     +--------+--------------------+
///     | length | one JSON object    |
///     +--------+--------------------+
///
/// A frame is at most ``byteCountMax`` long; a longer text is cut into several replies by the sender.
package enum ControlFrame {
    package static let headerByteCount = 4
    /// Above this a length is an attack or a mistake, not a command.
    package static let byteCountMax = 1 << 20
    /// Text of one reply; JSON makes at most six bytes of one.
    package static let textByteCountMax = 128 << 10

    package static func encode(_ value: some Encodable) throws(ControlError) -> [UInt8] {
        let body: Data
        do {
            body = try JSONEncoder().encode(value)
        } catch {
            throw .badFrame("cannot encode: \(error)")
        }
        guard body.count <= byteCountMax else {
            throw .badFrame("\(body.count) bytes, at most \(byteCountMax) are allowed")
        }
        let length = UInt32(body.count)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(headerByteCount + body.count)
        for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
        bytes.append(contentsOf: body)
        return bytes
    }

    /// The length that a header announces.
    package static func length(of header: some Sequence<UInt8>) throws(ControlError) -> Int {
        let length = header.reduce(0) { $0 << 8 | Int($1) }
        guard length <= byteCountMax else {
            throw .badFrame("a frame of \(length) bytes is announced, at most \(byteCountMax) are allowed")
        }
        return length
    }

    package static func decode<Value: Decodable>(_ type: Value.Type, from body: [UInt8]) throws(ControlError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw .badFrame("not the JSON that was expected: \(error)")
        }
    }

    /// Cuts a long text into pieces that fit in a reply each, never inside a character's code.
    package static func pieces(of text: String) -> [String] {
        guard text.utf8.count > textByteCountMax else { return text.isEmpty ? [] : [text] }
        let bytes = Array(text.utf8)
        var pieces: [String] = []
        var start = 0
        while start < bytes.count {
            var end = min(start + textByteCountMax, bytes.count)
            while end < bytes.count, bytes[end] & 0xc0 == 0x80 { end -= 1 }
            pieces.append(String(decoding: bytes[start..<end], as: UTF8.self))
            start = end
        }
        return pieces
    }
}

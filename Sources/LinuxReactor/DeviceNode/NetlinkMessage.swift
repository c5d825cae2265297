internal import CYoke

/// One message to a generic netlink family, built attribute by attribute. Host order, padded to 4 bytes.
///
/// ```
///   0  length u32   4  type u16   6  flags u16   8  sequence u32   12  port u32
///  16  command u8  17  version u8  18  zero u16
///  20  attributes: length u16 (with these 4 bytes), type u16, data, padding
/// ```
/// Source: linux/netlink.h, linux/genetlink.h.
package struct NetlinkMessage {
    static let headByteCount = 20
    private static let nestedFlag: UInt16 = 1 << 15

    package private(set) var bytes: [UInt8]

    init(type: UInt16, command: UInt8, version: UInt8, sequence: UInt32) {
        bytes = []
        append(UInt32(0))
        append(type)
        append(UInt16(NLM_F_REQUEST) | UInt16(NLM_F_ACK))
        append(sequence)
        append(UInt32(0))
        bytes += [command, version, 0, 0]
        finish()
    }

    mutating func attribute(_ type: UInt16, _ value: UInt32) {
        head(type, count: 4)
        append(value)
        finish()
    }

    mutating func attribute(_ type: UInt16, _ value: UInt64) {
        head(type, count: 8)
        append(value)
        finish()
    }

    /// Text with its NUL.
    mutating func attribute(_ type: UInt16, _ text: String) {
        head(type, count: text.utf8.count + 1)
        bytes += text.utf8
        bytes.append(0)
        pad()
        finish()
    }

    /// An attribute whose data are the attributes that `body` appends.
    mutating func nested(_ type: UInt16, _ body: (inout NetlinkMessage) -> Void) {
        let start = bytes.count
        head(type | Self.nestedFlag, count: 0)
        body(&self)
        let count = UInt16(bytes.count - start)
        bytes[start] = UInt8(truncatingIfNeeded: count)
        bytes[start + 1] = UInt8(truncatingIfNeeded: count >> 8)
        finish()
    }

    private mutating func head(_ type: UInt16, count: Int) {
        append(UInt16(4 + count))
        append(type)
    }

    private mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    private mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    /// Writes the length so far into the head.
    private mutating func finish() {
        let count = UInt32(bytes.count)
        withUnsafeBytes(of: count.littleEndian) { bytes.replaceSubrange(0..<4, with: $0) }
    }
}

/// The messages in one datagram from the kernel.
package struct NetlinkReply {
    /// 0 or an error number, once an acknowledgement or error was seen.
    package private(set) var errorNumber: Int32?
    /// Attributes of the last message that is not an acknowledgement, by type.
    private(set) var attributes: [(type: UInt16, data: [UInt8])] = []

    package init() {}

    /// Takes what it understands; stops at anything that does not fit.
    package mutating func take(_ datagram: ArraySlice<UInt8>) {
        var rest = datagram
        while rest.count >= 16 {
            let length = Int(Self.number(rest, 0, 4))
            guard length >= 16, length <= rest.count else { return }
            let message = rest.prefix(length)
            if Self.number(message, 4, 2) == UInt64(NLMSG_ERROR) {
                guard length >= 20 else { return }
                errorNumber = -Int32(truncatingIfNeeded: Self.number(message, 16, 4))
            } else {
                attributes = Self.attributes(message.dropFirst(NetlinkMessage.headByteCount))
            }
            rest = rest.dropFirst((length + 3) & ~3)
        }
    }

    /// The number in the last attribute of that type.
    package func number(_ type: UInt16) -> UInt64? {
        guard let data = attributes.last(where: { $0.type == type })?.data, data.count <= 8 else { return nil }
        return Self.number(data[...], 0, data.count)
    }

    private static func attributes(_ bytes: ArraySlice<UInt8>) -> [(type: UInt16, data: [UInt8])] {
        var result: [(UInt16, [UInt8])] = []
        var rest = bytes
        while rest.count >= 4 {
            let length = Int(number(rest, 0, 2))
            guard length >= 4, length <= rest.count else { break }
            // The upper two bits say how the data are to be read.
            result.append((UInt16(number(rest, 2, 2)) & 0x3fff, Array(rest.prefix(length).dropFirst(4))))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return result
    }

    private static func number(_ bytes: ArraySlice<UInt8>, _ offset: Int, _ count: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in (0..<count).reversed() {
            value = value << 8 | UInt64(bytes[bytes.startIndex + offset + index])
        }
        return value
    }
}

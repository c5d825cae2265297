import DRBDLayout
import LayoutKit
import Testing

@Suite struct PacketHeaderTests {
    private func decode(_ bytes: [UInt8], version: Int) throws -> PacketHeader {
        try bytes.withUnsafeBytes { (buffer) throws(LayoutError) in
            try PacketHeader(decoding: buffer, version: version)
        }
    }

    // Spec: drbd-wire 2.2, 26.1, 26.3.
    @Test(
        "headers of captures decode and encode",
        arguments: [
            ("83740267 fff2 0000", 80, PacketHeader(.initialData, length: 0)),
            ("83740267 fff1 0000", 80, PacketHeader(.initialMeta, length: 0)),
            ("83740267 fffe 0048", 80, PacketHeader(.connectionFeatures, length: 72)),
            ("8620ec20 0000 0023 00000094 00000000", 101, PacketHeader(.syncParameters89, length: 148)),
            ("8620ec20 0000 0013 00000000 00000000", 100, PacketHeader(.ping, length: 0)),
            ("8620ec20 0000 0000 00001018 00000000", 101, PacketHeader(.data, length: 24 + 4096)),
            ("8620ec20 0005 000e 00000004 00000000", 101, PacketHeader(.state, volume: 5, length: 4)),
        ] as [(String, Int, PacketHeader)])
    func captures(text: String, version: Int, header: PacketHeader) throws {
        let bytes = hex(text)
        #expect(try decode(bytes, version: version) == header)
        let format = PacketHeader.format(version: version, length: Int(header.length))
        #expect(bytes.count == PacketHeader.byteCount(version: version))
        #expect(bytes.count == format.byteCount)
        #expect(encodedBytes(count: bytes.count) { header.encode(into: $0, format: format) } == bytes)
        #expect(throws: LayoutError.truncated(need: bytes.count, have: bytes.count - 1)) {
            try decode(Array(bytes.dropLast()), version: version)
        }
    }

    @Test("from version 95 to 99 the length decides between the two short headers")
    func shortFormats() throws {
        #expect(PacketHeader.format(version: 94, length: 0x8001) == .short80)
        #expect(PacketHeader.format(version: 95, length: 0x8000) == .short80)
        #expect(PacketHeader.format(version: 95, length: 0x8001) == .big95)
        #expect(PacketHeader.format(version: 99, length: 0x8001) == .big95)
        #expect(PacketHeader.format(version: 100, length: 0) == .volume100)
        let header = PacketHeader(.dataReply, length: 65560)
        let bytes = encodedBytes(count: 8) { header.encode(into: $0, format: .big95) }
        #expect(bytes == hex("835a 0001 00010018"))
        #expect(try decode(bytes, version: 95) == header)
    }

    @Test("a header of the other generation is refused")
    func wrongMagic() {
        #expect(throws: LayoutError.badMagic(found: 0x8374_0267, expected: 0x8620_ec20)) {
            try decode(hex("83740267 0013 0000 00000000 00000000"), version: 100)
        }
        #expect(throws: LayoutError.badMagic(found: 0x8620_ec20, expected: 0x8374_0267)) {
            try decode(hex("8620ec20 0000 0013"), version: 99)
        }
    }

    @Test("a pad that is not zero is refused")
    func pad() {
        #expect(throws: LayoutError.badValue(field: "pad of the packet header", found: 1, expected: "0")) {
            try decode(hex("8620ec20 0000 0013 00000000 00000001"), version: 101)
        }
    }

    @Test("an unknown command keeps its number")
    func unknownCommand() throws {
        let header = try decode(hex("8620ec20 0000 0030 ffffffff 00000000"), version: 101)
        #expect(header.command == nil)
        #expect(header.commandNumber == 0x30)
        #expect(header.length == 0xffff_ffff)
    }
}

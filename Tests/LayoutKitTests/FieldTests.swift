import LayoutKit
import Testing

@Suite struct FieldTests {
    private static let bytes: [UInt8] = [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09]

    @Test("every field type reads its byte order at an odd offset")
    func reads() {
        Self.bytes.withUnsafeBytes { bytes in
            #expect(bytes[U8(offset: 1)] == 0x02)
            #expect(bytes[BE16(offset: 1)] == 0x0203)
            #expect(bytes[BE32(offset: 1)] == 0x0203_0405)
            #expect(bytes[BE64(offset: 1)] == 0x0203_0405_0607_0809)
            #expect(bytes[LE16(offset: 1)] == 0x0302)
            #expect(bytes[LE32(offset: 1)] == 0x0504_0302)
            #expect(bytes[LE64(offset: 1)] == 0x0908_0706_0504_0302)
        }
    }

    @Test("spans read the same values")
    func readsSpans() {
        let bytes = Self.bytes.span.bytes
        let big = bytes[BE64(offset: 1)], little = bytes[LE32(offset: 1)], byte = bytes[U8(offset: 8)]
        #expect(big == 0x0203_0405_0607_0809)
        #expect(little == 0x0504_0302)
        #expect(byte == 9)
    }

    @Test("every field type writes its byte order and nothing beside it")
    func writes() {
        var bytes = [UInt8](repeating: 0xff, count: 10)
        bytes.withUnsafeMutableBytes { $0[BE64(offset: 1)] = 0x0102_0304_0506_0708 }
        #expect(bytes == [0xff, 1, 2, 3, 4, 5, 6, 7, 8, 0xff])
        bytes.withUnsafeMutableBytes { $0[LE32(offset: 1)] = 0x0102_0304 }
        #expect(bytes == [0xff, 4, 3, 2, 1, 5, 6, 7, 8, 0xff])
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        raw[BE16(offset: 8)] = 0xabcd
        raw[LE16(offset: 0)] = 0x1234
        #expect(bytes == [0x34, 0x12, 3, 2, 1, 5, 6, 7, 0xab, 0xcd])
    }

    @Test("a text field ends at its NUL, and needs one")
    func text() throws {
        let field = TextField(offset: 1, count: 4, name: "verify-alg")
        var bytes: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
        bytes.withUnsafeMutableBytes { $0.setText(field, "md5") }
        #expect(bytes == [0xff, 0x6d, 0x64, 0x35, 0, 0xff])
        #expect(try bytes.withUnsafeBytes { try $0.text(field) } == "md5")
        bytes[4] = 0x34
        #expect(throws: LayoutError.badText(field: "verify-alg", reason: "no NUL within 4 bytes")) {
            try bytes.withUnsafeBytes { try $0.text(field) }
        }
        bytes[2] = 0xe4
        bytes[4] = 0
        #expect(throws: LayoutError.badText(field: "verify-alg", reason: "byte 0xe4 at 1")) {
            try bytes.withUnsafeBytes { try $0.text(field) }
        }
    }

    @Test("a single one anywhere is not all zero", arguments: [0, 7, 8, 15, 16])
    func allZero(position: Int) {
        var bytes = [UInt8](repeating: 0, count: 17)
        #expect(bytes.withUnsafeBytes { $0.isAllZero })
        bytes[position] = 1
        #expect(!bytes.withUnsafeBytes { $0.isAllZero })
    }

    @Test("errors name what was found and what was expected")
    func errors() {
        #expect(LayoutError.truncated(need: 8, have: 7).description == "truncated: 7 bytes found, 8 expected")
        #expect(
            LayoutError.badMagic(found: 0x1234, expected: 0x8374_0267).description
                == "bad magic: found 0x1234, expected 0x83740267")
        #expect(
            LayoutError.badValue(field: "role", found: 3, expected: "0 to 2").description
                == "bad value of role: found 3 (0x3), expected 0 to 2")
    }
}

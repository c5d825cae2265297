import LayoutKit
import Testing

@Suite struct CRC32CTests {
    @Test("the common form gives the check value of the catalogue")
    func checkValue() {
        let crc = Array("123456789".utf8).withUnsafeBytes { CRC32C.checksum($0) }
        #expect(crc == 0xe306_9283)
    }

    @Test("pieces of any length give the same as the whole")
    func pieces() {
        let bytes = (0..<100).map { UInt8($0 &* 37 & 0xff) }
        let whole = bytes.withUnsafeBytes { CRC32C.update(0x1234_5678, with: $0) }
        for cut in 0...100 {
            let parts = bytes.withUnsafeBytes { all in
                let head = CRC32C.update(0x1234_5678, with: UnsafeRawBufferPointer(rebasing: all[..<cut]))
                return CRC32C.update(head, with: UnsafeRawBufferPointer(rebasing: all[cut...]))
            }
            #expect(parts == whole)
        }
    }

    @Test("an empty activity log block has the sum that the tool writes, raw and inverted")
    func activityLogBlock() {
        // Spec: drbd-disk 5.1.
        var block = [UInt8](repeating: 0, count: 4096)
        block.replaceSubrange(0..<4, with: [0x69, 0xcb, 0x65, 0xa2])
        block.replaceSubrange(12..<14, with: [0xff, 0xff])
        #expect(block.withUnsafeBytes { CRC32C.update(0, with: $0) } == 0x709c_c651)
        #expect(block.withUnsafeBytes { CRC32C.checksum($0) } == 0xe865_87d8)
    }
}

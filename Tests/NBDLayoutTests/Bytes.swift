import LayoutKit
import NBDLayout
import Testing

/// Bytes from hexadecimal digits; blanks are ignored.
func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.filter { !$0.isWhitespace }
    var result: [UInt8] = []
    var index = digits.startIndex
    while index < digits.endIndex {
        let next = digits.index(index, offsetBy: 2)
        result.append(UInt8(digits[index..<next], radix: 16)!)
        index = next
    }
    return result
}

/// What `encode` writes into `count` zeroed bytes.
func encoded(_ count: Int, _ encode: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: count)
    result.withUnsafeMutableBytes { encode($0) }
    return result
}

/// Decodes `input`, which stands alone in memory, so that a sanitizer sees an access outside.
func decoding<Value>(
    _ input: [UInt8], _ decode: (UnsafeRawBufferPointer) throws(LayoutError) -> Value
) throws(LayoutError) -> Value {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: input.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: input)
    return try decode(UnsafeRawBufferPointer(copy))
}

/// Expects that `decode` takes `input`, but no prefix of it that is shorter by one byte.
func expectNeedsAll<Value>(_ input: [UInt8], _ decode: (UnsafeRawBufferPointer) throws(LayoutError) -> Value) {
    #expect(throws: Never.self) { try decoding(input, decode) }
    #expect(throws: LayoutError.self) { try decoding(Array(input.dropLast()), decode) }
}

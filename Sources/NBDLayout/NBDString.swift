internal import LayoutKit

/// Strings of the protocol: UTF-8 without NUL, at most 4096 bytes. Spec: NBD protocol, "Conventions".
package enum NBDString {
    package static let byteCountMax = 4096

    /// The bytes `offset..<offset + count` as text; the caller has checked that they exist.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, count: Int, field: String
    ) throws(LayoutError) -> String {
        guard count <= byteCountMax else {
            throw .badLength(of: field, found: count, expected: "at most \(byteCountMax)")
        }
        let units = bytes.part(offset: offset, count: count)
        guard !units.contains(0), let text = String(validating: units, as: UTF8.self) else {
            throw .badText(field: field, reason: "not UTF-8 without NUL")
        }
        return text
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Copies the UTF-8 bytes of `text` to `offset`.
    func setText(_ text: String, at offset: Int) {
        part(offset: offset, count: text.utf8.count).copyBytes(from: text.utf8)
    }
}

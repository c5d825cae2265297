/// Sizes as people write and read them.
package enum ByteSize {
    /// `10G`, `512M`, `1.5T`, `10 GiB` or bytes; powers of 1024. Nil for what is none.
    package static func parse(_ text: String) -> UInt64? {
        var word = text.filter { $0 != " " }.lowercased()
        for ending in ["ib", "b"] where word.hasSuffix(ending) && word.count > ending.count {
            word.removeLast(ending.count)
            break
        }
        var shift: UInt64 = 0
        if let last = word.last, let index = Array("kmgtp").firstIndex(of: last) {
            shift = 10 * UInt64(index + 1)
            word.removeLast()
        }
        let parts = word.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, !whole.isEmpty, whole.utf8.allSatisfy(isDigit), let number = UInt64(whole),
            number <= (UInt64.max >> 1) >> shift
        else { return nil }
        guard parts.count == 2 else { return number << shift }
        guard shift > 0, let tenths = parts[1].utf8.first, parts[1].utf8.count == 1, isDigit(tenths) else { return nil }
        return number << shift + UInt64(tenths - UInt8(ascii: "0")) << shift / 10
    }

    /// With one decimal: `10.0 GiB`.
    package static func text(_ bytes: UInt64) -> String {
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var unit = 0
        while unit < units.count - 1, bytes >> (10 * UInt64(unit + 1)) > 0 { unit += 1 }
        if unit == 0 { return "\(bytes) bytes" }
        let shift = 10 * UInt64(unit)
        let tenths = (bytes >> shift) * 10 + ((bytes & (1 << shift - 1)) * 10) >> shift
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}

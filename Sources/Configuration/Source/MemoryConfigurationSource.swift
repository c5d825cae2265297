/// Files in memory, for tests and fuzzing.
package struct MemoryConfigurationSource: ConfigurationSource {
    /// Contents by path.
    package var files: [String: [UInt8]]
    /// Other names of a path.
    package var links: [String: String]

    package init(files: [String: String] = [:], links: [String: String] = [:]) {
        self.files = files.mapValues { Array($0.utf8) }
        self.links = links
    }

    package func read(_ path: String) throws(SourceError) -> [UInt8] {
        guard let bytes = files[realPath(path)] else { throw .notFound(path: path) }
        return bytes
    }

    package func glob(_ pattern: String) -> [String] {
        let names = Array(files.keys) + Array(links.keys)
        let expected = Array(pattern.utf8)
        return names.filter { Self.matches(Array($0.utf8), expected) }.sorted()
    }

    package func realPath(_ path: String) -> String { links[path] ?? path }

    /// `*` and `?` within one path component; no character classes.
    ///
    /// Greedy with one point of return, so the time is bounded by the product of both lengths.
    private static func matches(_ name: [UInt8], _ pattern: [UInt8]) -> Bool {
        var position = 0
        var cursor = 0
        var star: (cursor: Int, position: Int)?
        let slash = UInt8(ascii: "/")
        while position < name.count {
            if cursor < pattern.count, pattern[cursor] == UInt8(ascii: "*") {
                star = (cursor, position)
                cursor += 1
            } else if cursor < pattern.count,
                pattern[cursor] == name[position] || (pattern[cursor] == UInt8(ascii: "?") && name[position] != slash)
            {
                cursor += 1
                position += 1
            } else if let back = star, name[back.position] != slash {
                star = (back.cursor, back.position + 1)
                cursor = back.cursor + 1
                position = back.position + 1
            } else {
                return false
            }
        }
        return pattern[cursor...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}

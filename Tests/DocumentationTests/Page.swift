import Foundation
import Testing

/// A page of the documentation, and the lists in its tables.
struct Page {
    let text: String

    init(_ name: String) throws {
        let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        text = try String(contentsOf: top.appendingPathComponent(name), encoding: .utf8)
    }

    /// The rows of all tables below a heading, up to the next one; cells without their borders.
    func rows(below heading: String) throws -> [[String]] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let start = try #require(lines.firstIndex(of: heading), "no heading \(heading)")
        return lines[(start + 1)...].prefix { !$0.hasPrefix("#") }.filter { $0.hasPrefix("|") && !$0.hasPrefix("|--") }
            .map { line in
                line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
                    .map { $0.trimmingCharacters(in: .whitespaces) }
            }
    }

    /// What is written as code in a cell.
    static func names(in cell: String) -> Set<String> {
        let parts = cell.split(separator: "`", omittingEmptySubsequences: false)
        return Set(parts.indices.filter { $0 % 2 == 1 }.map { String(parts[$0]) })
    }

    /// The names in the second cell of the row that begins with `title`.
    func names(below heading: String, row title: String) throws -> Set<String> {
        let row = try #require(try rows(below: heading).first { $0.first == title }, "no row \(title)")
        return Self.names(in: row[1])
    }
}

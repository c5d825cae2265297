/// A place in a configuration file. Lines and columns count from 1; a column is a byte, a tab is one.
package struct SourceLocation: Hashable, Sendable {
    /// The path as given or globbed.
    package var file: String
    package var line: Int
    package var column: Int

    package init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `FILE:LINE`, the form of the classic messages.
    package var fileAndLine: String { "\(file):\(line)" }
    /// `FILE:LINE:COLUMN`.
    package var full: String { "\(file):\(line):\(column)" }
}

/// A value with the place where it was written.
package struct Located<Value: Equatable & Sendable>: Equatable, Sendable {
    package var value: Value
    package var location: SourceLocation

    package init(_ value: Value, at location: SourceLocation) {
        self.value = value
        self.location = location
    }
}

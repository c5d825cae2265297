/// Who may write. Numbers and names: drbd-disk-and-state 10.
@frozen @usableFromInline
package enum Role: UInt8, CaseIterable, Sendable {
    case unknown = 0
    case primary = 1
    case secondary = 2
}

extension Role: CustomStringConvertible {
    /// The classic name, for logs and status.
    package var name: String {
        switch self {
        case .unknown: "Unknown"
        case .primary: "Primary"
        case .secondary: "Secondary"
        }
    }

    @usableFromInline package var description: String { name }
}

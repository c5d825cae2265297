/// How long a host puts up with guests that have another token. The token cannot be guessed; this is to be heard, and to
/// end.
package struct WrongTokens: Equatable, Sendable {
    package static let countMax = 10

    package private(set) var count = 0

    package init() {}

    /// One more. Seconds until that guest gets its answer; nil: give up.
    package mutating func note() -> Int? {
        count += 1
        return count < Self.countMax ? min(count, 5) : nil
    }
}

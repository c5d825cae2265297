/// Why a pair cannot be made as asked. For a person: what, why, what to do.
package struct PairingRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    package var text: String

    package init(_ text: String) {
        self.text = text
    }

    package var description: String { text }
}

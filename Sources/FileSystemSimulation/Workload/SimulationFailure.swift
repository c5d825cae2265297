/// The filesystem did something else than it promises.
package struct SimulationFailure: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }
}

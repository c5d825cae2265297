/// Rules of the heartbeat broken on purpose, so that a simulation can show that it notices each of them. Empty
/// everywhere else.
package struct PlantedFaults: OptionSet, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// Breaks: a host whose signs of life do not get through stops before the others bury it. Spec: o2cb 9.1.
    package static let neverLapse = PlantedFaults(rawValue: 1 << 0)
    /// Breaks: a node is dead only after it was silent for the whole threshold. Spec: o2cb 7.4.
    package static let buryEarly = PlantedFaults(rawValue: 1 << 1)
}

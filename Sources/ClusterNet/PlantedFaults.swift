extension ClusterNet {
    /// Rules of o2net broken on purpose, so that a simulation can show that it notices each of them. Empty everywhere else.
    package struct PlantedFaults: OptionSet, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// Breaks: of two sides that have lost each other one ends its membership. Spec: o2cb 13.2.
        package static let ignoreQuorum = PlantedFaults(rawValue: 1 << 0)
        /// Breaks: requests to a node that died end. Spec: o2cb 11.5.
        package static let keepRequestsToDead = PlantedFaults(rawValue: 1 << 1)
    }
}

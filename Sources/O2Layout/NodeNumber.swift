/// A node of the cluster: 0...254. Spec: o2cb 1.
package struct NodeNumber: Hashable, Comparable, Sendable {
    package let value: UInt8

    /// Nil for 255, which stands for "no node" on the wire.
    package init?(_ value: UInt8) {
        guard value < 255 else { return nil }
        self.value = value
    }

    /// What stands for "unknown" or "none" in one-byte fields. Spec: o2dlm 1.
    package static let none: UInt8 = 255
    /// How many nodes a cluster can have.
    package static let countMax = 255

    package static func < (left: NodeNumber, right: NodeNumber) -> Bool { left.value < right.value }
}

extension NodeNumber: ExpressibleByIntegerLiteral, CustomStringConvertible {
    package init(integerLiteral value: UInt8) {
        precondition(value < 255, "255 is no node")
        self.value = value
    }

    package var description: String { "\(value)" }
}

/// A set of nodes: 255 bits. Iterates in ascending order, so that it may decide the order of messages.
package struct NodeSet: Hashable, Sendable, Sequence, ExpressibleByArrayLiteral {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    package init() {}

    package init(_ nodes: some Sequence<NodeNumber>) {
        for node in nodes { insert(node) }
    }

    package init(arrayLiteral elements: NodeNumber...) {
        self.init(elements)
    }

    private func word(_ index: Int) -> UInt64 {
        switch index {
        case 0: words.0
        case 1: words.1
        case 2: words.2
        default: words.3
        }
    }

    private mutating func update(_ index: Int, _ body: (inout UInt64) -> Void) {
        switch index {
        case 0: body(&words.0)
        case 1: body(&words.1)
        case 2: body(&words.2)
        default: body(&words.3)
        }
    }

    package func contains(_ node: NodeNumber) -> Bool {
        word(Int(node.value) >> 6) & (1 << (UInt64(node.value) & 63)) != 0
    }

    package mutating func insert(_ node: NodeNumber) {
        update(Int(node.value) >> 6) { $0 |= 1 << (UInt64(node.value) & 63) }
    }

    package mutating func remove(_ node: NodeNumber) {
        update(Int(node.value) >> 6) { $0 &= ~(1 << (UInt64(node.value) & 63)) }
    }

    package func inserting(_ node: NodeNumber) -> NodeSet {
        var set = self
        set.insert(node)
        return set
    }

    package func removing(_ node: NodeNumber) -> NodeSet {
        var set = self
        set.remove(node)
        return set
    }

    package mutating func formUnion(_ other: NodeSet) {
        for index in 0..<4 { update(index) { $0 |= other.word(index) } }
    }

    package func subtracting(_ other: NodeSet) -> NodeSet {
        var set = self
        for index in 0..<4 { set.update(index) { $0 &= ~other.word(index) } }
        return set
    }

    package func isSubset(of other: NodeSet) -> Bool { subtracting(other).isEmpty }

    package var isEmpty: Bool { words == (0, 0, 0, 0) }
    package var count: Int { (0..<4).reduce(0) { $0 + word($1).nonzeroBitCount } }
    /// The lowest number.
    package var lowest: NodeNumber? {
        for index in 0..<4 where word(index) != 0 {
            return NodeNumber(UInt8(index * 64 + word(index).trailingZeroBitCount))
        }
        return nil
    }

    package static func == (left: NodeSet, right: NodeSet) -> Bool { left.words == right.words }

    package func hash(into hasher: inout Hasher) {
        for index in 0..<4 { hasher.combine(word(index)) }
    }

    package func makeIterator() -> AnyIterator<NodeNumber> {
        var rest = self
        return AnyIterator {
            guard let node = rest.lowest else { return nil }
            rest.remove(node)
            return node
        }
    }
}

extension NodeSet: CustomStringConvertible {
    package var description: String { "{" + map { "\($0)" }.joined(separator: " ") + "}" }
}

/// First in, first out, without moving what waits.
struct RingQueue<Element> {
    private var elements: [Element?] = []
    private var head = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ element: Element) {
        if count == elements.count { grow() }
        elements[(head + count) & (elements.count - 1)] = element
        count += 1
    }

    mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let element = elements[head].take()
        head = (head + 1) & (elements.count - 1)
        count -= 1
        return element
    }

    /// Removes and returns everything, in order.
    mutating func removeAll() -> [Element] {
        var all: [Element] = []
        all.reserveCapacity(count)
        while let element = popFirst() { all.append(element) }
        return all
    }

    /// The element `offset` places behind the first one.
    subscript(offset: Int) -> Element {
        get {
            precondition(offset >= 0 && offset < count, "no element \(offset) of \(count)")
            return elements[(head + offset) & (elements.count - 1)]!
        }
        _modify {
            precondition(offset >= 0 && offset < count, "no element \(offset) of \(count)")
            yield &elements[(head + offset) & (elements.count - 1)]!
        }
    }

    var first: Element? { count > 0 ? self[0] : nil }

    /// The capacity is a power of two, so that places are found with a mask.
    private mutating func grow() {
        var larger: [Element?] = []
        larger.reserveCapacity(max(16, elements.count * 2))
        for offset in 0..<count { larger.append(self[offset]) }
        while larger.count < max(16, elements.count * 2) { larger.append(nil) }
        elements = larger
        head = 0
    }
}

/// A descriptor that the reactor watches for readiness.
///
/// The kernel reports edges; the source remembers them as levels (`isReadable`, `isWritable`) until a call on the
/// descriptor says that it would block. So pausing and arming cost no system call, and what a handler left unread is
/// offered again in the next round.
package class ReadinessSource {
    /// -1 after ``ReadinessTable/remove(_:)``.
    fileprivate(set) final var descriptor: Int32
    /// Bytes (or a connection) may wait.
    final var isReadable = false
    /// The last write did not fill the descriptor.
    final var isWritable = false
    /// The peer ended its direction, or the descriptor failed. From then on `isReadable` is only cleared by a call that
    /// returned nothing, because no further edge will come.
    final var hasHungUp = false
    /// Waits in the reactor's list of sources to be delivered.
    final var isQueued = false
    fileprivate final var slot = -1

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Whether ``deliver()`` has something to tell.
    var wantsDelivery: Bool { false }

    /// Tells the handler. It may close any source, this one included.
    func deliver() {}
}

/// All watched descriptors of a reactor.
///
/// The poller (epoll or the ring) knows a source by a ``Cookie``: its slot and the generation of the slot, so that an
/// event that the kernel reported before the source was closed reaches nobody.
struct ReadinessTable {
    private struct Slot {
        var generation: UInt32 = 0
        var source: ReadinessSource?
    }

    private var slots: [Slot] = []
    private var vacant: [Int] = []

    /// Gives the source a slot and returns the cookie for the poller.
    mutating func add(_ source: ReadinessSource) -> Cookie {
        precondition(source.slot < 0, "source is watched already")
        let index: Int
        if let free = vacant.popLast() {
            index = free
        } else {
            index = slots.count
            slots.append(Slot())
        }
        slots[index].source = source
        source.slot = index
        return cookie(index)
    }

    /// Frees the slot. The descriptor, which the caller closes, and the cookie that the poller must forget; no cookie
    /// for a source that was not watched.
    mutating func remove(_ source: ReadinessSource) -> (descriptor: Int32, cookie: Cookie?) {
        let descriptor = source.descriptor
        source.descriptor = -1
        guard source.slot >= 0 else { return (descriptor, nil) }
        precondition(slots[source.slot].source === source, "source of another reactor")
        let cookie = cookie(source.slot)
        slots[source.slot].source = nil
        slots[source.slot].generation &+= 1
        vacant.append(source.slot)
        source.slot = -1
        return (descriptor, cookie)
    }

    /// The source that a cookie means; nil when it was removed meanwhile.
    func source(_ cookie: Cookie) -> ReadinessSource? {
        let slot = slots[cookie.index]
        return slot.generation == cookie.generation ? slot.source : nil
    }

    /// Every source that is watched.
    var sources: [ReadinessSource] { slots.compactMap(\.source) }

    private func cookie(_ index: Int) -> Cookie {
        Cookie(kind: .readiness, index: index, generation: slots[index].generation)
    }
}

/// What the kernel gives back with a completion or an event.
///
/// | bits | meaning |
/// |---|---|
/// | 0...27 | index in the table of its kind |
/// | 28...31 | kind |
/// | 32...63 | generation of the table's slot |
struct Cookie: Equatable, Sendable {
    enum Kind: UInt64 { case disk, readiness, ignored }

    static let indexMax = (1 << 28) - 1
    let bits: UInt64

    init(bits: UInt64) {
        self.bits = bits
    }

    init(kind: Kind, index: Int, generation: UInt32) {
        precondition(index <= Self.indexMax, "slot \(index) does not fit a cookie")
        bits = UInt64(index) | kind.rawValue << 28 | UInt64(generation) << 32
    }

    /// For a request whose completion says nothing of interest.
    static let ignored = Cookie(kind: .ignored, index: 0, generation: 0)

    var index: Int { Int(bits & UInt64(Self.indexMax)) }
    var generation: UInt32 { UInt32(bits >> 32) }
    var kind: Kind? { Kind(rawValue: (bits >> 28) & 15) }
}

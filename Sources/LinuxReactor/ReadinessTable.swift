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

    /// The cookie of a watched source.
    func cookie(of source: ReadinessSource) -> Cookie {
        precondition(source.slot >= 0, "source is not watched")
        return cookie(source.slot)
    }

    /// Every source that is watched.
    var sources: [ReadinessSource] { slots.compactMap(\.source) }

    private func cookie(_ index: Int) -> Cookie {
        Cookie(kind: .input, index: index, generation: slots[index].generation)
    }
}

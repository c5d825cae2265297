internal import EngineKit

/// A request that the backend works on.
struct InFlightRequest {
    enum Kind {
        case read, write, flush, writeZeroes
    }

    var kind: Kind
    /// The kernel's name for it.
    var unique: UInt64
    /// The payload of a read or write; keeps its buffer.
    var payload: IOSlice?
}

/// The requests of one mount that are at the backend. Grows to the limit once, then allocates nothing.
struct InFlightTable {
    private struct Slot {
        var generation: UInt32
        var request: InFlightRequest?
    }

    private var slots: [Slot] = []
    private var free: [UInt32] = []
    private(set) var count = 0
    /// Payload of all of them.
    private(set) var byteCount = 0

    mutating func insert(_ request: InFlightRequest) -> FUSERequestID {
        count += 1
        byteCount += request.payload?.count ?? 0
        if let index = free.popLast() {
            slots[Int(index)].request = request
            return FUSERequestID(slot: index, generation: slots[Int(index)].generation)
        }
        slots.append(Slot(generation: 0, request: request))
        return FUSERequestID(slot: UInt32(slots.count - 1), generation: 0)
    }

    /// Takes a request out. An unknown id is a mistake of the backend's.
    mutating func remove(_ id: FUSERequestID) -> InFlightRequest {
        let index = Int(id.slot)
        precondition(
            index < slots.count && slots[index].generation == id.generation, "completion of an unknown request \(id)")
        guard let request = slots[index].request else {
            preconditionFailure("request \(id) was completed twice")
        }
        slots[index].request = nil
        slots[index].generation &+= 1
        free.append(id.slot)
        count -= 1
        byteCount -= request.payload?.count ?? 0
        return request
    }
}

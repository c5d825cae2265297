internal import FileSystem

/// An open file or directory.
struct OpenHandle<Node: FileSystemNode> {
    var record: NodeRecord<Node>
    /// Nil for a directory.
    var mode: OpenMode?
    /// READs and WRITEs go around the kernel's page cache.
    var isDirect: Bool
}

/// The open handles of one mount. Grows to what is open at once, then allocates nothing.
struct HandleTable<Node: FileSystemNode> {
    private struct Slot {
        var generation: UInt32
        var handle: OpenHandle<Node>?
    }

    private var slots: [Slot] = []
    private var free: [UInt32] = []
    private(set) var count = 0

    /// Handles in the order of their slots.
    var all: [(number: UInt64, handle: OpenHandle<Node>)] {
        slots.indices.compactMap { index in
            slots[index].handle.map { (Self.number(UInt32(index), slots[index].generation), $0) }
        }
    }

    private static func number(_ slot: UInt32, _ generation: UInt32) -> UInt64 {
        UInt64(generation) << 32 | UInt64(slot)
    }

    mutating func add(_ handle: OpenHandle<Node>) -> UInt64 {
        count += 1
        if let slot = free.popLast() {
            slots[Int(slot)].handle = handle
            return Self.number(slot, slots[Int(slot)].generation)
        }
        slots.append(Slot(generation: 1, handle: handle))
        return Self.number(UInt32(slots.count - 1), 1)
    }

    subscript(number: UInt64) -> OpenHandle<Node>? {
        let slot = Int(number & 0xffff_ffff)
        guard slot < slots.count, slots[slot].generation == UInt32(number >> 32) else { return nil }
        return slots[slot].handle
    }

    mutating func remove(_ number: UInt64) -> OpenHandle<Node>? {
        guard let handle = self[number] else { return nil }
        let slot = UInt32(number & 0xffff_ffff)
        slots[Int(slot)].handle = nil
        slots[Int(slot)].generation &+= 1
        free.append(slot)
        count -= 1
        return handle
    }
}

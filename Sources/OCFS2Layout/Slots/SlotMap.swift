package import LayoutKit

/// Which node uses which slot: the data of `slot_map`, not journalled, without a check. Spec: ocfs2-disk 13.1, 13.2.
///
/// Extended form, 8 bytes a slot: es_valid (1), reserved (3), es_node_num (4). Old form, 2 bytes a slot: the node
/// number, 0xffff = empty.
package struct SlotMap: Hashable, Sendable {
    package enum Form: Hashable, Sendable {
        case extended
        case old

        package init(_ features: VolumeFeatures) {
            self = features.incompatible.contains(.extendedSlotMap) ? .extended : .old
        }

        /// Bytes of one slot.
        package var entryByteCount: Int { self == .extended ? 8 : 2 }
    }

    package let form: Form
    /// The node number in each slot; nil: the slot is free.
    package private(set) var nodes: [UInt32?]

    /// `bytes` is the start of the file's data, enough for all slots.
    package init(decoding bytes: UnsafeRawBufferPointer, form: Form, slotCount: Int) throws(LayoutError) {
        try LayoutError.require(slotCount * form.entryByteCount, of: bytes)
        self.form = form
        nodes = (0..<slotCount).map { slot in
            switch form {
            case .extended:
                bytes[U8(offset: 8 * slot)] == 0 ? nil : bytes[LE32(offset: 8 * slot + 4)]
            case .old:
                bytes[LE16(offset: 2 * slot)] == 0xffff ? nil : UInt32(bytes[LE16(offset: 2 * slot)])
            }
        }
    }

    /// The slot that the node has; the lowest, should there be several.
    package func slot(ofNode node: UInt32) -> Int? {
        nodes.firstIndex { $0 == node }
    }

    /// Bytes that hold the map.
    package var byteCount: Int { nodes.count * form.entryByteCount }

    /// Index, among the blocks of the file, of the block that holds the slot.
    package static func block(ofSlot slot: Int, form: Form, blockSize: Int) -> Int {
        slot * form.entryByteCount / blockSize
    }

    /// Takes the slot, in the map and in `bytes`, the start of the file's data, whose other bytes stay.
    package mutating func occupy(slot: Int, node: UInt32, in bytes: UnsafeMutableRawBufferPointer) {
        nodes[slot] = node
        switch form {
        case .extended:
            bytes[U8(offset: 8 * slot)] = 1
            bytes[LE32(offset: 8 * slot + 4)] = node
        case .old:
            bytes[LE16(offset: 2 * slot)] = UInt16(truncatingIfNeeded: node)
        }
    }

    /// Frees the slot, in the map and in `bytes`. The extended form keeps the node's number.
    package mutating func release(slot: Int, in bytes: UnsafeMutableRawBufferPointer) {
        nodes[slot] = nil
        switch form {
        case .extended: bytes[U8(offset: 8 * slot)] = 0
        case .old: bytes[LE16(offset: 2 * slot)] = 0xffff
        }
    }
}

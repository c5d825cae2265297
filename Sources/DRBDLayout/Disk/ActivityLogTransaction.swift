package import LayoutKit

/// One transaction of the activity log: a block of 4096 bytes, big-endian. Spec: drbd-disk-and-state 5.1.
///
///     offset  size     field
///     0       4        magic 69cb65a2
///     4       4        tr_number, counts up and wraps
///     8       4        crc32c of the block with this field 0; initial value 0, nothing inverted
///     12      2        type: 0 update, ffff initialised and empty
///     14      2        n_updates, 0 to 64
///     16      2        context_size: slots of the log
///     18      2        context_start_slot
///     20      16       reserved
///     36      2 x 64   slots of the updates, unused ffff
///     164     4 x 64   extents of the updates, unused ffffffff
///     420     4 x 919  context: extents in the slots from context_start_slot on, before the updates; free ffffffff
package struct ActivityLogTransaction: FixedLayout, Equatable, Sendable {
    package static let byteCount = 4096
    package static let updateCountMax = 64
    package static let contextCount = 919
    /// An empty slot.
    package static let freeExtent = UInt32.max
    private static let unusedSlot = UInt16.max

    private static let magicValue: UInt32 = 0x69cb_65a2

    private enum Field {
        static let magic = BE32(offset: 0), number = BE32(offset: 4), checksum = BE32(offset: 8)
        static let type = BE16(offset: 12), updateCount = BE16(offset: 14), contextSize = BE16(offset: 16)
        static let contextStart = BE16(offset: 18)

        static func updateSlot(_ index: Int) -> BE16 { BE16(offset: 36 + 2 * index) }
        static func updateExtent(_ index: Int) -> BE32 { BE32(offset: 164 + 4 * index) }
        static func context(_ index: Int) -> BE32 { BE32(offset: 420 + 4 * index) }
    }

    package enum Kind: UInt16, Sendable {
        case update = 0
        /// An empty block, as tools write it into the whole log.
        case initialised = 0xffff
    }

    /// A slot that holds another extent from this transaction on.
    package struct Update: Equatable, Sendable {
        package var slot: UInt16
        package var extent: UInt32

        package init(slot: UInt16, extent: UInt32) {
            self.slot = slot
            self.extent = extent
        }
    }

    package var kind: Kind
    package var number: UInt32
    /// Slots of the log, `al-extents`.
    package var slotCount: UInt16
    package var contextStart: UInt16
    /// At most ``updateCountMax``.
    package var updates: [Update]
    /// At most ``contextCount``; what is missing at the end is free.
    package var context: [UInt32]

    package init(number: UInt32, slotCount: UInt16, contextStart: UInt16, updates: [Update], context: [UInt32]) {
        kind = .update
        self.number = number
        self.slotCount = slotCount
        self.contextStart = contextStart
        self.updates = updates
        self.context = context
    }

    private init() {
        kind = .initialised
        number = 0
        slotCount = 0
        contextStart = 0
        updates = []
        context = []
    }

    /// What create-md and apply-al write into every block: zeroes but for magic, sum and type.
    package static let empty = ActivityLogTransaction()

    /// Throws when magic or sum are wrong, or type and count impossible. Of an initialised block nothing else is read.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        let magic = bytes[Field.magic]
        guard magic == Self.magicValue else {
            throw .badMagic(found: UInt64(magic), expected: UInt64(Self.magicValue))
        }
        let sum = Self.checksum(bytes)
        guard bytes[Field.checksum] == sum else {
            throw .badChecksum(
                of: "activity log block", found: UInt64(bytes[Field.checksum]), expected: UInt64(sum))
        }
        guard let kind = Kind(rawValue: bytes[Field.type]) else {
            throw .badValue(
                field: "type of the activity log block", found: UInt64(bytes[Field.type]), expected: "0 or 65535")
        }
        self.init()
        self.kind = kind
        guard kind == .update else { return }
        let updateCount = Int(bytes[Field.updateCount])
        guard updateCount <= Self.updateCountMax else {
            throw .badValue(field: "n_updates", found: UInt64(updateCount), expected: "0 to 64")
        }
        number = bytes[Field.number]
        slotCount = bytes[Field.contextSize]
        contextStart = bytes[Field.contextStart]
        updates = (0..<updateCount).map { index in
            Update(slot: bytes[Field.updateSlot(index)], extent: bytes[Field.updateExtent(index)])
        }
        context = (0..<Self.contextCount).map { bytes[Field.context($0)] }
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        precondition(updates.count <= Self.updateCountMax, "\(updates.count) updates in one transaction")
        precondition(context.count <= Self.contextCount, "\(context.count) slots in one context")
        out.clear(count: Self.byteCount)
        out[Field.magic] = Self.magicValue
        out[Field.type] = kind.rawValue
        if kind == .update {
            out[Field.number] = number
            out[Field.updateCount] = UInt16(updates.count)
            out[Field.contextSize] = slotCount
            out[Field.contextStart] = contextStart
            for index in 0..<Self.updateCountMax {
                let update = index < updates.count ? updates[index] : nil
                out[Field.updateSlot(index)] = update?.slot ?? Self.unusedSlot
                out[Field.updateExtent(index)] = update?.extent ?? Self.freeExtent
            }
            for index in 0..<Self.contextCount {
                out[Field.context(index)] = index < context.count ? context[index] : Self.freeExtent
            }
        }
        out[Field.checksum] = Self.checksum(UnsafeRawBufferPointer(out))
    }

    /// The sum over the block as if its field were 0.
    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let head = CRC32C.update(0, with: bytes.part(offset: 0, count: 8))
        let zero: UInt32 = 0
        let middle = withUnsafeBytes(of: zero) { CRC32C.update(head, with: $0) }
        return CRC32C.update(middle, with: bytes.part(offset: 12, count: byteCount - 12))
    }
}

package import LayoutKit

/// P_STATE: the sender's state of a volume. Spec: drbd-wire 6.5, 8.
package struct StateWord: FixedLayout, Equatable, Sendable {
    package static let byteCount = 4

    package var state: DeviceState

    package init(state: DeviceState) {
        self.state = state
    }

    /// Throws for a number that is no role, connection state or disk state.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        state = try DeviceState(rawValue: bytes[BE32(offset: 0)])
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[BE32(offset: 0)] = state.rawValue
    }
}

/// P_STATE_CHG_REQ and P_CONN_ST_CHG_REQ: fields of the state word and the values wanted for them, from the
/// requester's point of view. Spec: drbd-wire 8.4.
///
///     0: u32 mask   4: u32 val
package struct StateChange: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    private enum Field {
        static let mask = BE32(offset: 0), value = BE32(offset: 4)
    }

    /// All bits of every affected field.
    package var mask: StateMask
    /// The wanted values; 0 outside of the mask. Need not be the word of a possible state.
    package var value: UInt32

    package init(mask: StateMask, value: UInt32) {
        self.mask = mask
        self.value = value
    }

    /// Throws when the mask takes a field in part, or a value lies outside of the mask or of its field's range.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        mask = StateMask(rawValue: bytes[Field.mask])
        value = bytes[Field.value]
        guard mask.hasWholeFields else {
            throw .badValue(field: "mask of the state change", found: UInt64(mask.rawValue), expected: "whole fields")
        }
        guard value & ~mask.rawValue == 0 else {
            throw .badValue(
                field: "value of the state change", found: UInt64(value),
                expected: "bits of the mask \(hexadecimal(UInt64(mask.rawValue)))")
        }
        _ = try DeviceState(rawValue: value)
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.mask] = mask.rawValue
        out[Field.value] = value
    }
}

/// P_STATE_CHG_REPLY and P_CONN_ST_CHG_REPLY: 1 and above is acceptance. Codes: drbd-disk-and-state 11.
package struct StateChangeReply: FixedLayout, Equatable, Sendable {
    package static let byteCount = 4

    package var code: Int32

    package init(code: Int32) {
        self.code = code
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        code = Int32(bitPattern: bytes[BE32(offset: 0)])
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[BE32(offset: 0)] = UInt32(bitPattern: code)
    }
}

package import LayoutKit

/// P_PROTOCOL and P_PROTOCOL_UPDATE: settings of the connection that must agree. Spec: drbd-wire 6.1.
///
///     0: u32 wire protocol   4, 8, 12: u32 after-sb-0pri, -1pri, -2pri   16: u32 conn_flags   20: u32 two_primaries
///     24: integrity algorithm, NUL-terminated, 1 to 64 bytes (only from version 87 on)
///
/// The numbers stay as they came: a value that nobody knows is simply different from the own setting.
package struct ProtocolSettings: Equatable, Sendable {
    package struct Flags: OptionSet, Hashable, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        package static let discardMyData = Flags(rawValue: 1)
        /// From version 92 on.
        package static let dryRun = Flags(rawValue: 2)
    }

    private enum Field {
        static let wireProtocol = BE32(offset: 0), policy0 = BE32(offset: 4), policy1 = BE32(offset: 8)
        static let policy2 = BE32(offset: 12), flags = BE32(offset: 16), twoPrimaries = BE32(offset: 20)
    }

    package static let fixedByteCount = 24

    /// 1 is A, 2 is B, 3 is C.
    package var wireProtocol: UInt32
    package var afterSplitBrain0Primaries: UInt32
    package var afterSplitBrain1Primary: UInt32
    package var afterSplitBrain2Primaries: UInt32
    package var flags: Flags
    package var allowTwoPrimaries: Bool
    /// Empty: no data-integrity algorithm.
    package var integrityAlgorithm: String

    package init(
        wireProtocol: UInt32, afterSplitBrain0Primaries: UInt32 = 0, afterSplitBrain1Primary: UInt32 = 0,
        afterSplitBrain2Primaries: UInt32 = 0, flags: Flags = [], allowTwoPrimaries: Bool = false,
        integrityAlgorithm: String = ""
    ) {
        self.wireProtocol = wireProtocol
        self.afterSplitBrain0Primaries = afterSplitBrain0Primaries
        self.afterSplitBrain1Primary = afterSplitBrain1Primary
        self.afterSplitBrain2Primaries = afterSplitBrain2Primaries
        self.flags = flags
        self.allowTwoPrimaries = allowTwoPrimaries
        self.integrityAlgorithm = integrityAlgorithm
    }

    /// `bytes` is the whole payload: its length bounds the name of the algorithm.
    package init(decoding bytes: UnsafeRawBufferPointer, version: Int) throws(LayoutError) {
        try LayoutError.require(Self.fixedByteCount, of: bytes)
        wireProtocol = bytes[Field.wireProtocol]
        afterSplitBrain0Primaries = bytes[Field.policy0]
        afterSplitBrain1Primary = bytes[Field.policy1]
        afterSplitBrain2Primaries = bytes[Field.policy2]
        flags = Flags(rawValue: bytes[Field.flags])
        allowTwoPrimaries = bytes[Field.twoPrimaries] != 0
        guard version >= 87 else {
            integrityAlgorithm = ""
            return
        }
        let count = bytes.count - Self.fixedByteCount
        guard (1...WireConstants.nameByteCountMax).contains(count) else {
            throw .badLength(of: "integrity algorithm", found: count, expected: "1 to 64")
        }
        integrityAlgorithm = try bytes.text(
            TextField(offset: Self.fixedByteCount, count: count, name: "integrity algorithm"))
    }

    /// Size of the payload.
    package func byteCount(version: Int) -> Int {
        Self.fixedByteCount + (version >= 87 ? integrityAlgorithm.utf8.count + 1 : 0)
    }

    package func encode(into out: UnsafeMutableRawBufferPointer, version: Int) {
        out[Field.wireProtocol] = wireProtocol
        out[Field.policy0] = afterSplitBrain0Primaries
        out[Field.policy1] = afterSplitBrain1Primary
        out[Field.policy2] = afterSplitBrain2Primaries
        out[Field.flags] = flags.rawValue
        out[Field.twoPrimaries] = allowTwoPrimaries ? 1 : 0
        guard version >= 87 else { return }
        let name = TextField(
            offset: Self.fixedByteCount, count: integrityAlgorithm.utf8.count + 1, name: "integrity algorithm")
        out.setText(name, integrityAlgorithm)
    }

    /// A policy code as the other node has to say it: discard-local (5) and discard-remote (6) change places.
    package static func mirroredPolicy(_ code: UInt32) -> UInt32 {
        switch code {
        case 5: 6
        case 6: 5
        default: code
        }
    }
}

package import LayoutKit

/// P_SYNC_PARAM and P_SYNC_PARAM89: resync rate and algorithms of a volume. Spec: drbd-wire 6.2.
///
///     version   command  length    layout
///     <= 87     0x0a     4         rate
///     88        0x0a     4 + n     rate, verify-alg with its NUL (n = 1 to 64)
///     89...94   0x23     132       rate, verify-alg[64], csums-alg[64]
///     >= 95     0x23     148       the same, then plan_ahead, delay_target, fill_target, max_rate
package struct SyncParameters: Equatable, Sendable {
    private enum Field {
        static let rate = BE32(offset: 0)
        static let verify = TextField(offset: 4, count: 64, name: "verify-alg")
        static let checksum = TextField(offset: 68, count: 64, name: "csums-alg")
        static let planAhead = BE32(offset: 132), delayTarget = BE32(offset: 136)
        static let fillTarget = BE32(offset: 140), rateMax = BE32(offset: 144)
    }

    /// KiB/s.
    package var resyncRate: UInt32
    /// Empty: none. Not transmitted below version 88.
    package var verifyAlgorithm: String
    /// Empty: none. Not transmitted below version 89.
    package var checksumAlgorithm: String
    /// The values of the controller; nil below version 95.
    package var controller: Controller?

    package struct Controller: Equatable, Sendable {
        /// 0.1 s.
        package var planAhead: UInt32
        /// 0.1 s.
        package var delayTarget: UInt32
        /// Sectors.
        package var fillTarget: UInt32
        /// KiB/s.
        package var rateMax: UInt32

        package init(planAhead: UInt32, delayTarget: UInt32, fillTarget: UInt32, rateMax: UInt32) {
            self.planAhead = planAhead
            self.delayTarget = delayTarget
            self.fillTarget = fillTarget
            self.rateMax = rateMax
        }

        /// What a node without a disk sends.
        package static let standard = Controller(planAhead: 20, delayTarget: 10, fillTarget: 100, rateMax: 102_400)
    }

    package init(
        resyncRate: UInt32 = 250, verifyAlgorithm: String = "", checksumAlgorithm: String = "",
        controller: Controller? = .standard
    ) {
        self.resyncRate = resyncRate
        self.verifyAlgorithm = verifyAlgorithm
        self.checksumAlgorithm = checksumAlgorithm
        self.controller = controller
    }

    /// The packet that carries the parameters under `version`.
    package static func command(version: Int) -> PacketCommand {
        version >= 89 ? .syncParameters89 : .syncParameters
    }

    /// `bytes` is the whole payload.
    package init(decoding bytes: UnsafeRawBufferPointer, version: Int) throws(LayoutError) {
        try LayoutError.require(4, of: bytes)
        resyncRate = bytes[Field.rate]
        verifyAlgorithm = ""
        checksumAlgorithm = ""
        controller = nil
        if version < 88 { return }
        if version == 88 {
            let count = bytes.count - 4
            guard (1...WireConstants.nameByteCountMax).contains(count) else {
                throw .badLength(of: "verify-alg", found: count, expected: "1 to 64")
            }
            verifyAlgorithm = try bytes.text(TextField(offset: 4, count: count, name: "verify-alg"))
            return
        }
        try LayoutError.require(version >= 95 ? 148 : 132, of: bytes)
        verifyAlgorithm = try bytes.text(Field.verify)
        checksumAlgorithm = try bytes.text(Field.checksum)
        guard version >= 95 else { return }
        controller = Controller(
            planAhead: bytes[Field.planAhead], delayTarget: bytes[Field.delayTarget],
            fillTarget: bytes[Field.fillTarget], rateMax: bytes[Field.rateMax])
    }

    /// Size of the payload.
    package func byteCount(version: Int) -> Int {
        switch version {
        case ..<88: 4
        case 88: 4 + verifyAlgorithm.utf8.count + 1
        case 89..<95: 132
        default: 148
        }
    }

    package func encode(into out: UnsafeMutableRawBufferPointer, version: Int) {
        out[Field.rate] = resyncRate
        if version < 88 { return }
        if version == 88 {
            let name = TextField(offset: 4, count: verifyAlgorithm.utf8.count + 1, name: "verify-alg")
            out.setText(name, verifyAlgorithm)
            return
        }
        out.setText(Field.verify, verifyAlgorithm)
        out.setText(Field.checksum, checksumAlgorithm)
        guard version >= 95 else { return }
        let controller = controller ?? .standard
        out[Field.planAhead] = controller.planAhead
        out[Field.delayTarget] = controller.delayTarget
        out[Field.fillTarget] = controller.fillTarget
        out[Field.rateMax] = controller.rateMax
    }
}

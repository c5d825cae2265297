package import NBDLayout

/// One block volume as NBD clients see it.
package struct NBDExport: Equatable, Sendable {
    /// What clients ask for. The empty name is the default export; a directory answers it with one of its exports.
    package var name: String
    /// For a person; shown by `nbdinfo --list`. May be empty.
    package var description: String
    package var sizeBytes: UInt64
    package var isReadOnly: Bool
    /// Offsets and lengths are multiples of this: 512 or 4096. Other requests are refused with EINVAL.
    package var minimumBlock: Int
    package var preferredBlock: Int
    /// Longest read or write in one request.
    package var maximumBlock: Int
    package var canTrim: Bool
    package var canWriteZeroes: Bool
    /// Zeroing costs less than writing. Decides about requests that would rather fail than be slow.
    package var zeroesAreFast: Bool
    /// The backend answers ``NBDAction/blockStatus``; otherwise the session reports all as allocated by itself.
    package var reportsAllocation: Bool
    /// See ``NBDAction/flush``: what the backend must guarantee for several connections.
    package var canMultiConn: Bool

    package init(
        name: String, description: String = "", sizeBytes: UInt64, isReadOnly: Bool = false, minimumBlock: Int = 512,
        preferredBlock: Int = 4096, maximumBlock: Int = NBDRequest.payloadByteCountMax, canTrim: Bool = true,
        canWriteZeroes: Bool = true, zeroesAreFast: Bool = false, reportsAllocation: Bool = false,
        canMultiConn: Bool = true
    ) {
        precondition(
            minimumBlock > 0 && minimumBlock <= 65536 && minimumBlock & (minimumBlock - 1) == 0,
            "minimum block \(minimumBlock) is not a power of two up to 65536")
        precondition(
            preferredBlock >= max(512, minimumBlock) && preferredBlock & (preferredBlock - 1) == 0,
            "preferred block \(preferredBlock) is not a power of two from \(max(512, minimumBlock))")
        precondition(
            maximumBlock >= preferredBlock && maximumBlock <= NBDRequest.payloadByteCountMax
                && maximumBlock % minimumBlock == 0,
            "maximum block \(maximumBlock) is not within \(preferredBlock) and \(NBDRequest.payloadByteCountMax)")
        self.name = name
        self.description = description
        self.sizeBytes = sizeBytes
        self.isReadOnly = isReadOnly
        self.minimumBlock = minimumBlock
        self.preferredBlock = preferredBlock
        self.maximumBlock = maximumBlock
        self.canTrim = canTrim
        self.canWriteZeroes = canWriteZeroes
        self.zeroesAreFast = zeroesAreFast
        self.reportsAllocation = reportsAllocation
        self.canMultiConn = canMultiConn
    }

    /// What is told to a client. Spec: NBD protocol, "Transmission flags".
    package func transmissionFlags(structuredReplies: Bool) -> NBDTransmissionFlags {
        var flags: NBDTransmissionFlags = [.hasFlags, .sendFlush]
        if isReadOnly {
            flags.insert(.readOnly)
        } else {
            flags.insert(.sendFUA)
            if canTrim { flags.insert(.sendTrim) }
            if canWriteZeroes { flags.formUnion([.sendWriteZeroes, .sendFastZero]) }
        }
        if structuredReplies { flags.insert(.sendDontFragment) }
        if canMultiConn { flags.insert(.canMultiConn) }
        return flags
    }
}

/// What a directory says of an export's name.
package enum NBDExportAnswer: Sendable {
    case export(NBDExport)
    /// There is no such export.
    case unknown
    /// It exists but may not be used now. The text tells the person at the client why and what to do, for example
    /// "r0 is Secondary on this host: promote it with: yoke drbdadm primary r0".
    case refused(String)
}

/// Where a session finds the exports. Asked during the handshake only; answers at once.
package protocol NBDExportDirectory: AnyObject {
    /// The exports to list, in the order they are to be shown.
    var nbdExports: [NBDExport] { get }
    /// The export of that name; "" asks for the default one.
    func nbdExport(named name: String) -> NBDExportAnswer
}

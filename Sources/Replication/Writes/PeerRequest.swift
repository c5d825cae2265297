internal import DRBDLayout
internal import EngineKit

/// What a disk does for the peer: its writes, its reads, blocks of resync and verify.
struct PeerRequest {
    enum Kind: UInt8 {
        /// P_DATA.
        case write
        /// P_TRIM.
        case discard
        /// P_ZEROES.
        case writeZeroes
        /// P_DATA_REQUEST.
        case read
        /// P_RS_DATA_REPLY: a block that this target asked for.
        case resyncWrite
        /// P_RS_DEALLOCATED.
        case resyncZeroes
        /// P_RS_DATA_REQUEST and its sisters: this source reads.
        case resyncRead
        /// P_OV_REQUEST: this VerifyT reads.
        case verifyRead
        /// P_OV_REPLY: this VerifyS reads its own block to compare.
        case verifyCompare

        var isWrite: Bool { self == .write || self == .discard || self == .writeZeroes }
        var isResyncWrite: Bool { self == .resyncWrite || self == .resyncZeroes }
    }

    struct Flags: OptionSet {
        let rawValue: UInt8

        static let inActivityLog = Flags(rawValue: 1 << 0)
        /// Stands among the intervals.
        static let underWay = Flags(rawValue: 1 << 1)
        /// Acknowledged before the disk was done (a planted fault).
        static let isAcknowledged = Flags(rawValue: 1 << 2)
        /// Holds its resync extent.
        static let holdsExtent = Flags(rawValue: 1 << 3)
    }

    let kind: Kind
    let volume: Volume
    /// The connection that it came over; answers go nowhere else.
    let connectionSerial: UInt64
    let sector: UInt64
    let byteCount: Int
    /// Cookie of the peer, to be echoed.
    let blockID: UInt64
    let dataFlags: DataFlags
    let data: IOSlice?
    var flags: Flags = []
    /// The resync that it was asked for in, see ``Volume/resyncCount``.
    var resyncCount: UInt64 = 0
    /// The peer's digest, to compare with.
    var digest: [UInt8] = []
}

extension ReplicationEngine {
    func addPeerRequest(_ request: PeerRequest) -> Int {
        peerRequestByteCount += request.data?.count ?? 0
        return peerRequests.insert(request)
    }

    func dropPeerRequest(_ index: Int) {
        peerRequestByteCount -= peerRequests[index].data?.count ?? 0
        peerRequests.remove(index)
    }
}

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
        /// The disk works on it; without this it waits in some queue.
        static let submitted = Flags(rawValue: 1 << 4)
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
    /// Of a read: from when it is submitted.
    var data: IOSlice?
    var flags: Flags = []
    /// The resync that it was asked for in, see ``Volume/resyncCount``.
    var resyncCount: UInt64 = 0
    /// The peer's digest, to compare with.
    var digest: [UInt8] = []
}

extension ReplicationEngine {
    func addPeerRequest(_ request: PeerRequest) -> Int {
        if !request.isWaitingRead { peerRequestByteCount += request.charge }
        return peerRequests.insert(request)
    }

    /// A read gets its memory when its turn has come.
    func allocateData(_ index: Int) {
        let byteCount = peerRequests[index].byteCount
        peerRequests[index].data = IOSlice(buffer: buffers.take(byteCount: byteCount), offset: 0, count: byteCount)
        peerRequestByteCount += peerRequests[index].charge
    }

    func dropPeerRequest(_ index: Int) {
        if !peerRequests[index].isWaitingRead { peerRequestByteCount -= peerRequests[index].charge }
        peerRequests.remove(index)
    }
}

extension PeerRequest {
    /// What it counts for `max-buffers`: a page at the least, also without data.
    fileprivate var charge: Int { max(4096, data?.count ?? 0) }

    fileprivate var isWaitingRead: Bool {
        switch kind {
        case .read, .resyncRead, .verifyRead, .verifyCompare: data == nil
        case .write, .discard, .writeZeroes, .resyncWrite, .resyncZeroes: false
        }
    }
}

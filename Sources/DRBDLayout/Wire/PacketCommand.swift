/// What a packet is. Spec: drbd-wire 23.
///
/// Numbers that the table does not name have no case; the receiver decides by the socket what such a packet means.
/// Frozen, as the states, so that comparisons compile to numbers in other modules too.
@frozen @usableFromInline
package enum PacketCommand: UInt16, CaseIterable, Sendable {
    case data = 0x00
    case dataReply = 0x01
    case resyncDataReply = 0x02
    case barrier = 0x03
    case bitmap = 0x04
    case unplugRemote = 0x07
    case dataRequest = 0x08
    case resyncDataRequest = 0x09
    case syncParameters = 0x0a
    case protocolSettings = 0x0b
    case uuids = 0x0c
    case sizes = 0x0d
    case state = 0x0e
    case syncUUID = 0x0f
    case authChallenge = 0x10
    case authResponse = 0x11
    case stateChangeRequest = 0x12
    case ping = 0x13
    case pingAck = 0x14
    case receiveAck = 0x15
    case writeAck = 0x16
    case resyncWriteAck = 0x17
    case superseded = 0x18
    case negativeAck = 0x19
    case negativeDataReply = 0x1a
    case negativeResyncDataReply = 0x1b
    case barrierAck = 0x1c
    case stateChangeReply = 0x1d
    case verifyRequest = 0x1e
    case verifyReply = 0x1f
    case verifyResult = 0x20
    case checksumResyncRequest = 0x21
    case resyncIsInSync = 0x22
    case syncParameters89 = 0x23
    case compressedBitmap = 0x24
    case delayProbe = 0x27
    case outOfSync = 0x28
    case resyncCancel = 0x29
    case connectionStateChangeRequest = 0x2a
    case connectionStateChangeReply = 0x2b
    case retryWrite = 0x2c
    case protocolUpdate = 0x2d
    case trim = 0x31
    case resyncThinRequest = 0x32
    case resyncDeallocated = 0x33
    case writeSame = 0x34
    case zeroes = 0x36
    case initialMeta = 0xfff1
    case initialData = 0xfff2
    case connectionFeatures = 0xfffe
}

extension PacketCommand: CustomStringConvertible {
    /// The classic name, for logs.
    package var name: String {
        switch self {
        case .data: "P_DATA"
        case .dataReply: "P_DATA_REPLY"
        case .resyncDataReply: "P_RS_DATA_REPLY"
        case .barrier: "P_BARRIER"
        case .bitmap: "P_BITMAP"
        case .unplugRemote: "P_UNPLUG_REMOTE"
        case .dataRequest: "P_DATA_REQUEST"
        case .resyncDataRequest: "P_RS_DATA_REQUEST"
        case .syncParameters: "P_SYNC_PARAM"
        case .protocolSettings: "P_PROTOCOL"
        case .uuids: "P_UUIDS"
        case .sizes: "P_SIZES"
        case .state: "P_STATE"
        case .syncUUID: "P_SYNC_UUID"
        case .authChallenge: "P_AUTH_CHALLENGE"
        case .authResponse: "P_AUTH_RESPONSE"
        case .stateChangeRequest: "P_STATE_CHG_REQ"
        case .ping: "P_PING"
        case .pingAck: "P_PING_ACK"
        case .receiveAck: "P_RECV_ACK"
        case .writeAck: "P_WRITE_ACK"
        case .resyncWriteAck: "P_RS_WRITE_ACK"
        case .superseded: "P_SUPERSEDED"
        case .negativeAck: "P_NEG_ACK"
        case .negativeDataReply: "P_NEG_DREPLY"
        case .negativeResyncDataReply: "P_NEG_RS_DREPLY"
        case .barrierAck: "P_BARRIER_ACK"
        case .stateChangeReply: "P_STATE_CHG_REPLY"
        case .verifyRequest: "P_OV_REQUEST"
        case .verifyReply: "P_OV_REPLY"
        case .verifyResult: "P_OV_RESULT"
        case .checksumResyncRequest: "P_CSUM_RS_REQUEST"
        case .resyncIsInSync: "P_RS_IS_IN_SYNC"
        case .syncParameters89: "P_SYNC_PARAM89"
        case .compressedBitmap: "P_COMPRESSED_BITMAP"
        case .delayProbe: "P_DELAY_PROBE"
        case .outOfSync: "P_OUT_OF_SYNC"
        case .resyncCancel: "P_RS_CANCEL"
        case .connectionStateChangeRequest: "P_CONN_ST_CHG_REQ"
        case .connectionStateChangeReply: "P_CONN_ST_CHG_REPLY"
        case .retryWrite: "P_RETRY_WRITE"
        case .protocolUpdate: "P_PROTOCOL_UPDATE"
        case .trim: "P_TRIM"
        case .resyncThinRequest: "P_RS_THIN_REQ"
        case .resyncDeallocated: "P_RS_DEALLOCATED"
        case .writeSame: "P_WSAME"
        case .zeroes: "P_ZEROES"
        case .initialMeta: "P_INITIAL_META"
        case .initialData: "P_INITIAL_DATA"
        case .connectionFeatures: "P_CONNECTION_FEATURES"
        }
    }

    @usableFromInline package var description: String { name }
}

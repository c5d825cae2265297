package import LayoutKit

/// One of the two sockets of a connection. Spec: drbd-wire 1.
package enum PacketSocket: Sendable {
    /// Data socket, "S": packets processed strictly in order.
    case data
    /// Meta socket, "M": pings, acknowledgements, replies to state changes.
    case meta
}

extension PacketCommand {
    /// The socket on which the packet travels; nil for those that may come on both. Spec: drbd-wire 23.
    package var socket: PacketSocket? {
        switch self {
        case .delayProbe: nil
        case .ping, .pingAck, .receiveAck, .writeAck, .resyncWriteAck, .superseded, .negativeAck, .negativeDataReply,
            .negativeResyncDataReply, .barrierAck, .stateChangeReply, .verifyResult, .resyncIsInSync, .resyncCancel,
            .connectionStateChangeReply, .retryWrite, .initialMeta:
            .meta
        case .data, .dataReply, .resyncDataReply, .barrier, .bitmap, .unplugRemote, .dataRequest, .resyncDataRequest,
            .syncParameters, .protocolSettings, .uuids, .sizes, .state, .syncUUID, .authChallenge, .authResponse,
            .stateChangeRequest, .verifyRequest, .verifyReply, .checksumResyncRequest, .syncParameters89,
            .compressedBitmap, .outOfSync, .connectionStateChangeRequest, .protocolUpdate, .trim, .resyncThinRequest,
            .resyncDeallocated, .writeSame, .zeroes, .initialData, .connectionFeatures:
            .data
        }
    }

    /// Whether the volume number of header 100 addresses a volume; otherwise it is 0 and means nothing.
    /// Spec: drbd-wire 23.
    package var isForVolume: Bool {
        switch self {
        case .barrier, .protocolSettings, .authChallenge, .authResponse, .ping, .pingAck, .barrierAck, .delayProbe,
            .connectionStateChangeRequest, .connectionStateChangeReply, .protocolUpdate, .initialMeta, .initialData,
            .connectionFeatures:
            false
        case .data, .dataReply, .resyncDataReply, .bitmap, .unplugRemote, .dataRequest, .resyncDataRequest,
            .syncParameters, .uuids, .sizes, .state, .syncUUID, .stateChangeRequest, .receiveAck, .writeAck,
            .resyncWriteAck, .superseded, .negativeAck, .negativeDataReply, .negativeResyncDataReply,
            .stateChangeReply, .verifyRequest, .verifyReply, .verifyResult, .checksumResyncRequest, .resyncIsInSync,
            .syncParameters89, .compressedBitmap, .outOfSync, .resyncCancel, .retryWrite, .trim, .resyncThinRequest,
            .resyncDeallocated, .writeSame, .zeroes:
            true
        }
    }

    /// Bytes of the payload that are always there and are decoded as one structure. What follows them is a digest,
    /// data, code or text.
    package var fixedByteCount: Int {
        switch self {
        case .bitmap, .unplugRemote, .ping, .pingAck, .initialMeta, .initialData, .compressedBitmap: 0
        case .syncParameters, .state, .stateChangeReply, .connectionStateChangeReply: 4
        case .barrier, .barrierAck, .syncUUID, .stateChangeRequest, .connectionStateChangeRequest, .delayProbe: 8
        case .outOfSync, .resyncDeallocated: 16
        case .data, .dataReply, .resyncDataReply, .dataRequest, .resyncDataRequest, .resyncThinRequest,
            .verifyRequest, .verifyReply, .checksumResyncRequest, .protocolSettings, .protocolUpdate:
            24
        case .receiveAck, .writeAck, .resyncWriteAck, .superseded, .negativeAck, .negativeDataReply,
            .negativeResyncDataReply, .verifyResult, .resyncIsInSync, .resyncCancel, .retryWrite:
            24
        case .trim, .zeroes, .writeSame: 28
        case .sizes: 32
        case .uuids: 48
        case .authChallenge: 64
        case .authResponse: 0
        case .connectionFeatures: 72
        case .syncParameters89: 132
        }
    }

    /// The payload lengths that a receiver takes under `dialect`. Spec: drbd-wire 6, 10, 12.1, 23.
    package func payloadByteCounts(_ dialect: WireDialect) -> ClosedRange<Int> {
        let fixed = fixedByteCount
        switch self {
        case .data, .dataReply, .resyncDataReply, .writeSame:
            return fixed...fixed + WireConstants.digestByteCountMax + dialect.requestByteCountMax
        case .verifyReply, .checksumResyncRequest:
            return fixed...fixed + WireConstants.digestByteCountMax
        case .bitmap:
            return 0...dialect.bitmapPayloadByteCountMax
        case .compressedBitmap:
            return 2...dialect.bitmapPayloadByteCountMax
        case .protocolSettings, .protocolUpdate:
            return dialect.version >= 87 ? fixed + 1...fixed + WireConstants.nameByteCountMax : fixed...fixed
        case .syncParameters:
            return dialect.version >= 88 ? fixed + 1...fixed + WireConstants.nameByteCountMax : fixed...fixed
        case .syncParameters89:
            let count = dialect.version >= 95 ? 148 : 132
            return count...count
        case .sizes:
            let count = dialect.features.contains(.writeSame) ? 56 : 32
            return count...count
        case .authChallenge:
            return fixed...128
        case .authResponse:
            return 1...WireConstants.digestByteCountMax
        default:
            return fixed...fixed
        }
    }

    /// Throws ``LayoutError/badLength(of:found:expected:)`` unless a payload of `length` bytes is legal. To be called
    /// before the payload is read: nothing is ever allocated for a length that a peer invented.
    package func checkLength(_ length: UInt32, _ dialect: WireDialect) throws(LayoutError) {
        let legal = payloadByteCounts(dialect)
        guard legal.contains(Int(length)) else {
            let expected =
                legal.lowerBound == legal.upperBound
                ? "\(legal.lowerBound)" : "\(legal.lowerBound) to \(legal.upperBound)"
            throw .badLength(of: name, found: Int(length), expected: expected)
        }
    }
}

internal import DRBDLayout
internal import EngineKit
internal import LayoutKit

// The packets of the meta socket: never held up by disks. Spec: drbd-wire 12.2, 20, 23.

extension ReplicationEngine {
    func receiveMetaPacket(
        _ command: PacketCommand, _ header: PacketHeader, _ body: UnsafeRawBufferPointer
    ) -> PacketVerdict {
        do throws(LayoutError) {
            switch command {
            case .ping:
                for volume in volumes { volume.mayTargetBeDone = true }
                sendEmpty(.pingAck, on: connection.meta)
                return .done
            case .pingAck:
                if !receivePingAck() { log(.debug, "P_PING_ACK without a P_PING") }
                return .done
            case .barrierAck:
                if !receiveBarrierAck(try BarrierAck(decoding: body)) { loseConnection(.protocolError) }
                return .done
            case .connectionStateChangeReply:
                return receiveConnectionStateReply(try StateChangeReply(decoding: body).code)
            case .delayProbe:
                return .done
            default:
                guard let volume = volume(VolumeNumber(header.volume)) else {
                    return .violation("volume \(header.volume) is not known")
                }
                return try receiveVolumeAnswer(command, volume, body)
            }
        } catch {
            return .violation("\(error)")
        }
    }

    private func receiveVolumeAnswer(
        _ command: PacketCommand, _ volume: Volume, _ body: UnsafeRawBufferPointer
    ) throws(LayoutError) -> PacketVerdict {
        if command == .stateChangeReply {
            return receiveStateReply(try StateChangeReply(decoding: body).code, volume)
        }
        let ack = try BlockAck(decoding: body)
        advancePeerSequence(volume, ack.sequence)
        let verdict = try receiveAck(command, ack, volume)
        changed()
        return verdict
    }

    private func receiveAck(
        _ command: PacketCommand, _ ack: BlockAck, _ volume: Volume
    ) throws(LayoutError) -> PacketVerdict {
        let isResync = ack.blockID == WireConstants.resyncBlockID
        switch command {
        case .resyncWriteAck where isResync:
            return receiveResyncAck(ack, volume, isGood: true)
        case .negativeAck where isResync:
            return receiveResyncAck(ack, volume, isGood: false)
        case .receiveAck, .writeAck, .resyncWriteAck, .superseded, .negativeAck, .retryWrite:
            return receiveWriteAnswer(command, ack, volume)
        case .negativeDataReply:
            return receiveReadRefusal(ack, volume)
        case .negativeResyncDataReply:
            return receiveResyncRefusal(ack, volume, isCancelled: false)
        case .resyncCancel:
            return receiveResyncRefusal(ack, volume, isCancelled: true)
        case .resyncIsInSync:
            return receiveIsInSync(ack, volume)
        case .verifyResult:
            return receiveVerifyResult(ack, try VerifyResult(ack), volume)
        default:
            return .violation("not expected on the meta socket")
        }
    }
}

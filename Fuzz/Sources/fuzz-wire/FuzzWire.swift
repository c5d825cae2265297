import DRBDLayout
import LayoutKit

// A connection's bytes as a receiver takes them: header, length check, payload. The first input byte chooses version and
// features, the rest is the stream. What decodes must encode to a packet that decodes to the same.

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    guard let choice = input.first else { return 0 }
    let versions = [80, 86, 87, 88, 89, 94, 95, 99, 100, 101]
    let dialect = WireDialect(
        version: versions[Int(choice & 15) % versions.count], features: FeatureFlags(rawValue: UInt32(choice >> 4)))
    var stream = input.dropped(1)
    while let rest = readPacket(stream, dialect) {
        stream = rest
    }
    return 0
}

/// Takes one packet; nil when the stream ends or the peer would be dropped.
private func readPacket(_ stream: UnsafeRawBufferPointer, _ dialect: WireDialect) -> UnsafeRawBufferPointer? {
    do throws(LayoutError) {
        let header = try PacketHeader(decoding: stream, version: dialect.version)
        guard let command = header.command else { return nil }
        try command.checkLength(header.length, dialect)
        let body = stream.dropped(PacketHeader.byteCount(version: dialect.version))
        guard body.count >= Int(header.length) else { return nil }
        let payload = body.part(offset: 0, count: Int(header.length))
        try readPayload(command, payload, dialect)
        return body.dropped(payload.count)
    } catch {
        // The text of every error is made as well.
        precondition(!error.description.isEmpty)
        return nil
    }
}

private func readPayload(
    _ command: PacketCommand, _ payload: UnsafeRawBufferPointer, _ dialect: WireDialect
) throws(LayoutError) {
    switch command {
    case .data, .dataReply, .resyncDataReply, .writeSame:
        try expectRoundTrip(DataHeader.self, payload)
        for digest in [0, 4, 16, 20, 32] {
            _ = try? DataHeader.dataByteCount(
                length: UInt32(payload.count), digestByteCount: digest, dialect: dialect)
        }
    case .trim, .zeroes:
        try expectRoundTrip(TrimRequest.self, payload)
        let trim = try TrimRequest(decoding: payload)
        try WireRange.check(
            sector: trim.header.sector, byteCount: trim.size, byteCountMax: dialect.discardByteCountMax,
            capacitySectors: 1 << 40)
    case .dataRequest, .resyncDataRequest, .resyncThinRequest, .checksumResyncRequest, .verifyRequest, .verifyReply:
        try expectRoundTrip(BlockRequest.self, payload)
        let request = try BlockRequest(decoding: payload)
        try WireRange.check(
            sector: request.sector, byteCount: request.size, byteCountMax: dialect.requestByteCountMax,
            capacitySectors: .max)
        precondition(request.sector.addingReportingOverflow(UInt64(request.size / 512)).overflow == false)
    case .receiveAck, .writeAck, .resyncWriteAck, .superseded, .negativeAck, .negativeDataReply,
        .negativeResyncDataReply, .resyncIsInSync, .resyncCancel, .retryWrite:
        try expectRoundTrip(BlockAck.self, payload)
    case .verifyResult:
        let ack = try BlockAck(decoding: payload)
        let result = try VerifyResult(ack)
        precondition(result.blockID == ack.blockID)
    case .barrier: try expectRoundTrip(Barrier.self, payload)
    case .barrierAck: try expectRoundTrip(BarrierAck.self, payload)
    case .outOfSync: try expectRoundTrip(OutOfSync.self, payload)
    case .resyncDeallocated: try expectRoundTrip(ResyncDeallocated.self, payload)
    case .uuids: try expectRoundTrip(UUIDSet.self, payload)
    case .syncUUID: try expectRoundTrip(SyncUUID.self, payload)
    case .state: try expectRoundTrip(StateWord.self, payload)
    case .stateChangeRequest, .connectionStateChangeRequest: try expectRoundTrip(StateChange.self, payload)
    case .stateChangeReply, .connectionStateChangeReply: try expectRoundTrip(StateChangeReply.self, payload)
    case .connectionFeatures:
        let features = try ConnectionFeatures(decoding: payload)
        let own = ConnectionFeatures(versionMin: 100, versionMax: 101, flags: .trim)
        if let agreed = own.agreement(with: features) { precondition((100...101).contains(agreed.version)) }
    case .protocolSettings, .protocolUpdate, .syncParameters, .syncParameters89, .sizes:
        try readParameters(command, payload, dialect)
    case .bitmap, .compressedBitmap, .unplugRemote, .authChallenge, .authResponse, .ping, .pingAck, .delayProbe,
        .initialMeta, .initialData:
        break
    }
}

/// The packets whose form depends on version or features.
private func readParameters(
    _ command: PacketCommand, _ payload: UnsafeRawBufferPointer, _ dialect: WireDialect
) throws(LayoutError) {
    let version = dialect.version
    switch command {
    case .protocolSettings, .protocolUpdate:
        let settings = try ProtocolSettings(decoding: payload, version: version)
        let again = try encoded(count: settings.byteCount(version: version)) {
            settings.encode(into: $0, version: version)
        } decode: { bytes throws(LayoutError) in
            try ProtocolSettings(decoding: bytes, version: version)
        }
        precondition(again == settings, "\(settings) became \(again)")
    case .sizes:
        let sizes = try Sizes(decoding: payload, features: dialect.features)
        let again = try encoded(count: Sizes.byteCount(features: dialect.features)) {
            sizes.encode(into: $0, features: dialect.features)
        } decode: { bytes throws(LayoutError) in
            try Sizes(decoding: bytes, features: dialect.features)
        }
        precondition(again == sizes, "\(sizes) became \(again)")
    default:
        let parameters = try SyncParameters(decoding: payload, version: version)
        let again = try encoded(count: parameters.byteCount(version: version)) {
            parameters.encode(into: $0, version: version)
        } decode: { bytes throws(LayoutError) in
            try SyncParameters(decoding: bytes, version: version)
        }
        precondition(again == parameters, "\(parameters) became \(again)")
    }
}

private func expectRoundTrip<Layout: FixedLayout & Equatable>(
    _ type: Layout.Type, _ payload: UnsafeRawBufferPointer
) throws(LayoutError) {
    let value = try Layout(decoding: payload)
    let again = try encoded(count: Layout.byteCount) {
        value.encode(into: $0)
    } decode: { bytes throws(LayoutError) in
        try Layout(decoding: bytes)
    }
    precondition(again == value, "\(value) became \(again)")
}

private func encoded<Value>(
    count: Int, _ encode: (UnsafeMutableRawBufferPointer) -> Void,
    decode: (UnsafeRawBufferPointer) throws(LayoutError) -> Value
) throws(LayoutError) -> Value {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
    defer { bytes.deallocate() }
    encode(bytes)
    return try decode(UnsafeRawBufferPointer(bytes))
}

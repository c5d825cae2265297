import DRBDLayout
import LayoutKit
import Testing

@Suite struct PacketCommandTests {
    private static let dialect = WireDialect(version: 101, features: [.trim, .writeSame, .writeZeroes])

    @Test("the table has 50 packets with names of their own")
    func names() {
        #expect(PacketCommand.allCases.count == 50)
        #expect(Set(PacketCommand.allCases.map(\.name)).count == 50)
        #expect(PacketCommand.allCases.allSatisfy { $0.name.hasPrefix("P_") })
        #expect(PacketCommand(rawValue: 0x05) == nil)
    }

    @Test("the fixed part of each packet is the size of its structure")
    func fixedParts() {
        #expect(PacketCommand.data.fixedByteCount == DataHeader.byteCount)
        #expect(PacketCommand.barrier.fixedByteCount == Barrier.byteCount)
        #expect(PacketCommand.barrierAck.fixedByteCount == BarrierAck.byteCount)
        #expect(PacketCommand.dataRequest.fixedByteCount == BlockRequest.byteCount)
        #expect(PacketCommand.writeAck.fixedByteCount == BlockAck.byteCount)
        #expect(PacketCommand.trim.fixedByteCount == TrimRequest.byteCount)
        #expect(PacketCommand.outOfSync.fixedByteCount == OutOfSync.byteCount)
        #expect(PacketCommand.resyncDeallocated.fixedByteCount == ResyncDeallocated.byteCount)
        #expect(PacketCommand.uuids.fixedByteCount == UUIDSet.byteCount)
        #expect(PacketCommand.syncUUID.fixedByteCount == SyncUUID.byteCount)
        #expect(PacketCommand.state.fixedByteCount == StateWord.byteCount)
        #expect(PacketCommand.stateChangeRequest.fixedByteCount == StateChange.byteCount)
        #expect(PacketCommand.stateChangeReply.fixedByteCount == StateChangeReply.byteCount)
        #expect(PacketCommand.protocolSettings.fixedByteCount == ProtocolSettings.fixedByteCount)
        #expect(PacketCommand.connectionFeatures.fixedByteCount == ConnectionFeatures.byteCount)
    }

    @Test(
        "lengths follow version and features",
        arguments: [
            (PacketCommand.sizes, WireDialect(version: 101, features: .writeSame), 56...56),
            (.sizes, WireDialect(version: 101, features: []), 32...32),
            (.protocolSettings, WireDialect(version: 86, features: []), 24...24),
            (.protocolSettings, WireDialect(version: 101, features: []), 25...88),
            (.syncParameters89, WireDialect(version: 94, features: []), 132...132),
            (.syncParameters89, WireDialect(version: 95, features: []), 148...148),
            (.bitmap, WireDialect(version: 99, features: []), 0...4088),
            (.bitmap, WireDialect(version: 100, features: []), 0...4080),
            (.compressedBitmap, WireDialect(version: 100, features: []), 2...4080),
            (.authChallenge, WireDialect(version: 100, features: []), 64...128),
            (.ping, WireDialect(version: 100, features: []), 0...0),
            (.data, WireDialect(version: 90, features: []), 24...24 + 64 + 32768),
            (.data, WireDialect(version: 95, features: []), 24...24 + 64 + 131_072),
            (.data, WireDialect(version: 100, features: []), 24...24 + 64 + 1_048_576),
        ] as [(PacketCommand, WireDialect, ClosedRange<Int>)])
    func lengths(command: PacketCommand, dialect: WireDialect, legal: ClosedRange<Int>) {
        #expect(command.payloadByteCounts(dialect) == legal)
    }

    @Test("a length that the packet cannot have is refused by name")
    func badLength() {
        #expect(throws: LayoutError.badLength(of: "P_PING", found: 1, expected: "0")) {
            try PacketCommand.ping.checkLength(1, Self.dialect)
        }
        #expect(throws: LayoutError.badLength(of: "P_DATA", found: 0xffff_ffff, expected: "24 to 1048664")) {
            try PacketCommand.data.checkLength(.max, Self.dialect)
        }
        #expect(throws: Never.self) { try PacketCommand.trim.checkLength(28, Self.dialect) }
    }

    @Test("acknowledgements travel on the meta socket, all else on the data socket")
    func sockets() {
        let meta = PacketCommand.allCases.filter { $0.socket == .meta }
        #expect(meta.count == 17)
        #expect(PacketCommand.delayProbe.socket == nil)
        #expect(PacketCommand.stateChangeReply.socket == .meta)
        #expect(PacketCommand.barrier.socket == .data)
        #expect(!PacketCommand.barrier.isForVolume)
        #expect(PacketCommand.writeAck.isForVolume)
    }

    @Test("limits follow version and features")
    func limits() {
        #expect(Self.dialect.discardByteCountMax == 134_217_728)
        #expect(WireDialect(version: 101, features: .trim).discardByteCountMax == 4_194_304)
        #expect(WireDialect.beforeAgreement.headerByteCount == 8)
        #expect(Self.dialect.headerByteCount == 16)
    }
}

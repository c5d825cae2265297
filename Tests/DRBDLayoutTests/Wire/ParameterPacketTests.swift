import DRBDLayout
import LayoutKit
import Testing

/// Packets of the handshake; bytes from drbd-wire 26.
@Suite struct ParameterPacketTests {
    @Test("features of a kernel peer, and what two peers agree on")
    func features() throws {
        let kernel = ConnectionFeatures(
            versionMin: 86, versionMax: 101, flags: [.trim, .thinResync, .writeSame, .writeZeroes])
        try expectGolden(hex("00000056 0000000f 00000065 00000000") + zeroes(56), is: kernel)
        let own = ConnectionFeatures(versionMin: 100, versionMax: 101, flags: [.trim, .writeSame, .writeZeroes])
        #expect(
            own.agreement(with: kernel)
                == WireDialect(version: 101, features: [.trim, .writeSame, .writeZeroes]))
        #expect(own.agreement(with: ConnectionFeatures(versionMin: 102, versionMax: 120, flags: [])) == nil)
        #expect(own.agreement(with: ConnectionFeatures(versionMin: 86, versionMax: 99, flags: [])) == nil)
        #expect(own.agreement(with: ConnectionFeatures(versionMin: 86, versionMax: 100, flags: []))?.version == 100)
    }

    @Test("a highest version of 0 is the lowest")
    func featuresWithoutMaximum() throws {
        let features = try ConnectionFeatures.decode(hex("00000064 00000000 00000000 00000000") + zeroes(56))
        #expect(features.versionMax == 100)
    }

    private func protocolSettings(_ bytes: [UInt8], version: Int = 101) throws -> ProtocolSettings {
        try bytes.withUnsafeBytes { (buffer) throws(LayoutError) in
            try ProtocolSettings(decoding: buffer, version: version)
        }
    }

    @Test("P_PROTOCOL without and with an integrity algorithm")
    func protocolPacket() throws {
        let plain = hex("00000003 00000000 00000000 00000000 00000000 00000001 00")
        let settings = ProtocolSettings(wireProtocol: 3, allowTwoPrimaries: true)
        #expect(try protocolSettings(plain) == settings)
        #expect(settings.byteCount(version: 101) == 25)
        #expect(encodedBytes(count: 25) { settings.encode(into: $0, version: 101) } == plain)

        let named = hex("00000003 00000000 00000000 00000000 00000001 00000001") + Array("crc32c".utf8) + [0]
        let discarding = ProtocolSettings(
            wireProtocol: 3, flags: .discardMyData, allowTwoPrimaries: true, integrityAlgorithm: "crc32c")
        #expect(try protocolSettings(named) == discarding)
        #expect(discarding.byteCount(version: 101) == 31)
        #expect(encodedBytes(count: 31) { discarding.encode(into: $0, version: 101) } == named)
        #expect(discarding.byteCount(version: 86) == 24)
    }

    @Test("P_PROTOCOL with a name that does not end, or none at all, is refused")
    func protocolPacketRefused() {
        let fixed = hex("00000003 00000000 00000000 00000000 00000000 00000001")
        #expect(throws: LayoutError.truncated(need: 24, have: 23)) { try protocolSettings(Array(fixed.dropLast())) }
        #expect(throws: LayoutError.badLength(of: "integrity algorithm", found: 0, expected: "1 to 64")) {
            try protocolSettings(fixed)
        }
        #expect(throws: LayoutError.badText(field: "integrity algorithm", reason: "no NUL within 3 bytes")) {
            try protocolSettings(fixed + Array("md5".utf8))
        }
        #expect(throws: LayoutError.badLength(of: "integrity algorithm", found: 65, expected: "1 to 64")) {
            try protocolSettings(fixed + zeroes(65))
        }
    }

    @Test("discard-local and discard-remote are mirrored, the other policies are not")
    func mirroredPolicies() {
        #expect((0...10).map { ProtocolSettings.mirroredPolicy($0) } == [0, 1, 2, 3, 4, 6, 5, 7, 8, 9, 10])
    }

    private func syncParameters(_ bytes: [UInt8], version: Int) throws -> SyncParameters {
        try bytes.withUnsafeBytes { (buffer) throws(LayoutError) in
            try SyncParameters(decoding: buffer, version: version)
        }
    }

    @Test("P_SYNC_PARAM89 of a kernel peer")
    func syncParameters89() throws {
        let bytes = hex("00019000") + zeroes(128) + hex("00000000 0000000a 00000064 00019000")
        let parameters = SyncParameters(
            resyncRate: 102_400,
            controller: .init(planAhead: 0, delayTarget: 10, fillTarget: 100, rateMax: 102_400))
        #expect(try syncParameters(bytes, version: 101) == parameters)
        #expect(encodedBytes(count: 148) { parameters.encode(into: $0, version: 101) } == bytes)
        #expect(throws: LayoutError.truncated(need: 148, have: 147)) {
            try syncParameters(Array(bytes.dropLast()), version: 95)
        }
        #expect(throws: LayoutError.truncated(need: 132, have: 131)) {
            try syncParameters(Array(bytes.prefix(131)), version: 94)
        }
    }

    @Test("each version has its form of the sync parameters", arguments: [86, 88, 89, 94, 95, 101])
    func syncParameterForms(version: Int) throws {
        let parameters = SyncParameters(
            resyncRate: 250, verifyAlgorithm: version >= 88 ? "sha1" : "",
            checksumAlgorithm: version >= 89 ? "md5" : "", controller: version >= 95 ? .standard : nil)
        let count = parameters.byteCount(version: version)
        let bytes = encodedBytes(count: count) { parameters.encode(into: $0, version: version) }
        #expect(try syncParameters(bytes, version: version) == parameters)
        #expect([86: 4, 88: 9, 89: 132, 94: 132, 95: 148, 101: 148][version] == count)
        #expect(SyncParameters.command(version: version) == (version >= 89 ? .syncParameters89 : .syncParameters))
    }

    @Test("a verify algorithm of 64 letters without NUL is refused")
    func syncParametersWithoutEnd() {
        let bytes = hex("00019000") + [UInt8](repeating: 0x61, count: 64) + zeroes(80)
        #expect(throws: LayoutError.badText(field: "verify-alg", reason: "no NUL within 64 bytes")) {
            try syncParameters(bytes, version: 101)
        }
    }

    private func sizes(_ bytes: [UInt8], _ features: FeatureFlags) throws -> Sizes {
        try bytes.withUnsafeBytes { (buffer) throws(LayoutError) in try Sizes(decoding: buffer, features: features) }
    }

    @Test("P_SIZES of a kernel peer, with and without queue limits")
    func sizesPacket() throws {
        let short = hex("0000000000031fb0 0000000000000000 0000000000031fb0 00100000 0000 0000")
        let long = short + hex("00000200 00000200 00000000 00000200 00001000 01 00 00 00")
        var value = Sizes(
            diskSectors: 204_720, userSectors: 0, currentSectors: 204_720, requestByteCountMax: 1 << 20)
        #expect(try sizes(short, []) == value)
        #expect(encodedBytes(count: 32) { value.encode(into: $0, features: []) } == short)
        value.queueLimits = QueueLimits(discardEnabled: true)
        #expect(try sizes(long, .writeSame) == value)
        #expect(encodedBytes(count: 56) { value.encode(into: $0, features: .writeSame) } == long)
        #expect(Sizes.byteCount(features: [.trim]) == 32)
        #expect(throws: LayoutError.truncated(need: 56, have: 55)) { try sizes(Array(long.dropLast()), .writeSame) }
        #expect(throws: LayoutError.truncated(need: 32, have: 31)) { try sizes(Array(short.dropLast()), []) }
    }

    @Test("P_UUIDS of captures")
    func uuids() throws {
        try expectGolden(
            hex(
                "0000000000000004 0000000000000000 0000000000000000 0000000000000000"
                    + "00000000000063f6 0000000000000000"),
            is: UUIDSet(
                current: GenerationUUID.justCreated, bitmap: 0, history0: 0, history1: 0, setBits: 25590))
        try expectGolden(
            hex(
                "666ae69014cb121a af9be3d79812c7f7 bff94c59fd14e6eb 0000000000000004"
                    + "0000000000000010 0000000000000001"),
            is: UUIDSet(
                current: 0x666a_e690_14cb_121a, bitmap: 0xaf9b_e3d7_9812_c7f7, history0: 0xbff9_4c59_fd14_e6eb,
                history1: 4, setBits: 16, flags: .discardMyData))
        try expectGolden(hex("af9ce3d79812c7f7"), is: SyncUUID(uuid: 0xaf9b_e3d7_9812_c7f7 + GenerationUUID.syncOffset))
    }
}

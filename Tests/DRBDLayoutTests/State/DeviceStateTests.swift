import DRBDLayout
import LayoutKit
import Testing

@Suite struct DeviceStateTests {
    // Spec: drbd-wire 8.1, 26.
    @Test(
        "words of captures",
        arguments: [
            (UInt32(0xc882), DeviceState(role: .secondary, conn: .wfConnection, disk: .inconsistent)),
            (
                0x88aa,
                DeviceState(
                    role: .secondary, peer: .secondary, conn: .connected, disk: .inconsistent, pdsk: .inconsistent)
            ),
            (
                0x110a5,
                DeviceState(role: .primary, peer: .primary, conn: .connected, disk: .upToDate, pdsk: .upToDate)
            ),
            (
                0xf0d9,
                DeviceState(role: .primary, peer: .secondary, conn: .wfBitMapS, disk: .upToDate, pdsk: .consistent)
            ),
            (
                0x10ae6,
                DeviceState(role: .secondary, peer: .primary, conn: .wfBitMapT, disk: .outdated, pdsk: .upToDate)
            ),
            (
                0x1110a6,
                DeviceState(
                    role: .secondary, peer: .primary, conn: .connected, disk: .upToDate, pdsk: .upToDate,
                    userIsp: true)
            ),
        ] as [(UInt32, DeviceState)])
    func words(word: UInt32, state: DeviceState) throws {
        #expect(try DeviceState(rawValue: word) == state)
        #expect(state.rawValue == word)
    }

    @Test("every flag has its bit")
    func flags() throws {
        for bit in 17...22 {
            let word: UInt32 = 0x110a5 | 1 << bit
            #expect(try DeviceState(rawValue: word).rawValue == word)
        }
        #expect(try DeviceState(rawValue: 0x110a5 | StateMask.suspFen.rawValue).suspFen)
        #expect(try DeviceState(rawValue: 0x110a5 | StateMask.suspNod.rawValue).suspNod)
        #expect(try DeviceState(rawValue: 0x110a5 | StateMask.susp.rawValue).isSuspended)
        #expect(try DeviceState(rawValue: 0x110a5 | StateMask.peerIsp.rawValue).peerIsp)
        #expect(try DeviceState(rawValue: 0x110a5 | StateMask.aftrIsp.rawValue).aftrIsp)
    }

    @Test("bits above the word are ignored")
    func unknownBits() throws {
        #expect(try DeviceState(rawValue: 0xff81_10a5).rawValue == 0x110a5)
    }

    @Test(
        "impossible numbers are refused by field",
        arguments: [
            (UInt32(0x3), "role", UInt64(3), "0 to 2"), (0xc, "peer", 3, "0 to 2"), (0x180, "conn", 24, "0 to 23"),
            (0x1200, "disk", 9, "0 to 8"), (0x1e000, "pdsk", 15, "0 to 8"),
        ] as [(UInt32, String, UInt64, String)])
    func impossible(word: UInt32, field: String, found: UInt64, expected: String) {
        #expect(throws: LayoutError.badValue(field: field, found: found, expected: expected)) {
            try DeviceState(rawValue: word)
        }
        #expect(throws: LayoutError.self) {
            try StateWord.decode(encodedBytes(count: 4) { $0[BE32(offset: 0)] = word })
        }
    }

    @Test("numbers and names of the chapter")
    func names() {
        #expect(ConnectionState.allCases.map(\.rawValue) == Array(0...23))
        #expect(DiskState.allCases.map(\.rawValue) == Array(0...8))
        #expect(
            ConnectionState.allCases.map(\.name).joined(separator: " ")
                == "StandAlone Disconnecting Unconnected Timeout BrokenPipe NetworkFailure ProtocolError TearDown "
                + "WFConnection WFReportParams Connected StartingSyncS StartingSyncT WFBitMapS WFBitMapT WFSyncUUID "
                + "SyncSource SyncTarget VerifyS VerifyT PausedSyncS PausedSyncT Ahead Behind")
        #expect(
            DiskState.allCases.map(\.name).joined(separator: " ")
                == "Diskless Attaching Failed Negotiating Inconsistent Outdated DUnknown Consistent UpToDate")
        #expect(Role.allCases.map(\.name) == ["Unknown", "Primary", "Secondary"])
        #expect(ConnectionState.connected < .syncSource)
        #expect(DiskState.unknown < .consistent)
    }

    @Test("P_STATE and replies of captures")
    func packets() throws {
        try expectGolden(
            hex("0000c882"),
            is: StateWord(state: DeviceState(role: .secondary, conn: .wfConnection, disk: .inconsistent)))
        try expectGolden(hex("00000001"), is: StateChangeReply(code: 1))
        try expectGolden(hex("ffffffed"), is: StateChangeReply(code: -19))
    }

    // Spec: drbd-wire 8.4.
    @Test(
        "state change requests of captures",
        arguments: [
            ("00000003 00000001", StateMask.role, UInt32(1)),
            ("00001e03 00001001", [.role, .disk], 0x1001),
            ("00001e00 00000400", .disk, 0x400),
            ("000001f0 00000120", .conn, 0x120),
            ("0001e1f0 0000a010", [.conn, .pdsk], 0xa010),
            ("00001ff0 00000a10", [.conn, .disk], 0xa10),
        ] as [(String, StateMask, UInt32)])
    func stateChanges(text: String, mask: StateMask, value: UInt32) throws {
        try expectGolden(hex(text), is: StateChange(mask: mask, value: value))
    }

    @Test(
        "state change requests with half a field, stray bits or impossible values are refused",
        arguments: [
            "00000001 00000001", "00000003 00000011", "01000000 00000000", "000001f0 000001f0", "00000000 00000001",
            "00001e00 00001e00",
        ])
    func badStateChanges(text: String) {
        #expect(throws: LayoutError.self) { try StateChange.decode(hex(text)) }
    }
}

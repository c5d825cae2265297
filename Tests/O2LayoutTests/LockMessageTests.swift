import LayoutKit
import O2Layout
import Testing

/// Bytes from hexadecimal text; blanks are ignored.
func bytes(_ text: String) -> [UInt8] {
    let digits = text.filter { $0.isHexDigit }
    var result: [UInt8] = []
    var index = digits.startIndex
    while index < digits.endIndex {
        let next = digits.index(index, offsetBy: 2)
        result.append(UInt8(digits[index..<next], radix: 16)!)
        index = next
    }
    return result
}

private let superblock = ResourceName("S000000000000000000000200000000")

@Suite("lock manager messages")
struct LockMessageTests {
    @Test("keys are CRCs of names without inversion")
    func keys() {
        #expect(MessageKey.domain("7E012AE3BF62458B8A58C073CF6E1C36") == 0xad86_27a7)
        #expect(MessageKey.domain("19A43D24552B4D16B63ABFD4A2DAEE59") == 0xacac_a17b)
        #expect(MessageKey.heartbeat(region: "19A43D24552B4D16B63ABFD4A2DAEE59") == 0x961e_7ca9)
        #expect(MessageKey.heartbeat(region: "7D6FE14F80CB4D00B60D4997B5A1CFEF") == 0x93ee_558f)
    }

    @Test("CREATE_LOCK as a kernel sends it")
    func create() throws {
        let message = LockRequestMessage(
            cookie: LockCookie(node: 1, counter: 1), flags: [], node: 1, mode: .exclusive, name: superblock)
        let golden =
            bytes("0100000000000001 00000000 00 01 05 1f") + superblock.bytes + [UInt8](repeating: 0, count: 33)
        #expect(message.payload == golden)
        #expect(try golden.withUnsafeBytes { try LockRequestMessage(decoding: $0) } == message)
    }

    @Test("CONVERT_LOCK carries the value block only with its flag")
    func convert() throws {
        var message = LockRequestMessage(
            cookie: LockCookie(node: 1, counter: 5), flags: [.putValue, .convert, .valueBlock], node: 1,
            mode: .protectedRead, name: superblock, value: ValueBlock(bytes: Array(0..<64)))
        #expect(message.payload.count == 144)
        #expect(Array(message.payload[8..<16]) == bytes("20000500 00 01 03 1f"))
        #expect(try message.payload.withUnsafeBytes { try LockRequestMessage(decoding: $0) } == message)
        let short = Array(message.payload.dropLast())
        #expect(throws: LayoutError.truncated(need: 144, have: 143)) {
            try short.withUnsafeBytes { try LockRequestMessage(decoding: $0) }
        }
        message.flags = .convert
        message.value = nil
        #expect(message.payload.count == 80)
    }

    @Test("the node lies elsewhere in UNLOCK_LOCK and PROXY_AST")
    func nodeOffsets() throws {
        let unlock = UnlockMessage(cookie: LockCookie(node: 1, counter: 9), flags: [], node: 1, name: superblock)
        #expect(Array(unlock.payload[0..<16]) == bytes("0100000000000009 00000000 0000 01 1f"))
        let ast = ProxyASTMessage(
            cookie: LockCookie(node: 1, counter: 5), node: 0, kind: .blocking, blockedMode: .protectedRead,
            name: superblock)
        #expect(Array(ast.payload[0..<16]) == bytes("0100000000000005 00000000 00 01 03 1f"))
        #expect(try unlock.payload.withUnsafeBytes { try UnlockMessage(decoding: $0) } == unlock)
        #expect(try ast.payload.withUnsafeBytes { try ProxyASTMessage(decoding: $0) } == ast)
    }

    @Test("QUERY_JOIN and its answer as seen")
    func join() throws {
        let message = QueryJoinMessage(
            node: 1, lockManager: ProtocolVersion(1, 3), fileSystem: ProtocolVersion(1, 0),
            domain: "7E012AE3BF62458B8A58C073CF6E1C36", liveNodes: [0, 1])
        #expect(Array(message.payload[0..<8]) == bytes("01 0000 20 0103 0100"))
        #expect(message.payload[72] == 3)
        #expect(try message.payload.withUnsafeBytes { try QueryJoinMessage(decoding: $0) } == message)
        #expect(JoinAnswer(.member, lockManagerMinor: 3).status == 0x0103_0000)
        #expect(JoinAnswer(status: 0x0200_0000)?.code == .notMember)
        #expect(JoinAnswer(status: 0x0900_0000) == nil)
    }

    @Test("QUERY_NODEINFO lists nodes with port and address")
    func nodeInfo() throws {
        let message = QueryNodeInfoMessage(
            node: 1, domain: "D",
            nodes: [
                NodeAddress(node: 0, port: 7777, address: 0x0a63_0032),
                NodeAddress(node: 1, port: 7777, address: 0x0a63_0033),
            ])
        #expect(Array(message.payload[68..<84]) == bytes("00 00 1e61 0a630032 01 00 1e61 0a630033"))
        #expect(message.payload.count == LockMessageType.queryNodeInfo.payloadByteCountMax)
        #expect(try message.payload.withUnsafeBytes { try QueryNodeInfoMessage(decoding: $0) } == message)
    }

    @Test("MIG_LOCKRES with a lock, and with a dummy")
    func migration() throws {
        let lock = MigratedLock(
            cookie: LockCookie(value: 0x19), list: .granted, mode: .protectedRead, node: 0)
        var message = MigratedResource(
            master: 1, flags: [.migration, .allDone], totalLocks: 1, migrationCookie: 0, name: superblock,
            value: .zero, locks: [lock])
        #expect(Array(message.payload[0..<8]) == bytes("01 1f 01 06 00000001"))
        #expect(Array(message.payload[112...]) == bytes("0000000000000019 0000 00 00 03 ff ff 00"))
        #expect(try message.payload.withUnsafeBytes { try MigratedResource(decoding: $0) } == message)
        message.locks = [.dummy(of: 1)]
        message.totalLocks = 0
        #expect(Array(message.payload[112...]) == bytes("0000000000000000 0000 02 00 ff ff ff 01"))
        #expect(try message.payload.withUnsafeBytes { try MigratedResource(decoding: $0) } == message)
    }

    @Test(
        "a hostile MIG_LOCKRES is refused",
        arguments: [(2, UInt8(0)), (2, 241), (3, 0), (1, 33), (122, 3), (126, 0), (127, 255)])
    func hostileMigration(offset: Int, value: UInt8) {
        var payload = MigratedResource(
            master: 1, flags: .recovery, totalLocks: 1, migrationCookie: 0, name: superblock, value: .zero,
            locks: [MigratedLock(cookie: LockCookie(value: 1), list: .granted, mode: .null, node: 0)]
        ).payload
        payload[offset] = value
        #expect(throws: LayoutError.self) { try payload.withUnsafeBytes { try MigratedResource(decoding: $0) } }
    }

    @Test("a dentry lock's name is shown with its inode")
    func dentryName() {
        let name = ResourceName(
            bytes("4e 30303030303030303030303030303039 00 0000000000009225 0000000000"))
        #expect(name?.description == "N000000000000000900009225")
    }
}

@Suite("heartbeat and framing")
struct NetMessageTests {
    @Test("a heartbeat block's checksum is the one seen on a disk")
    func heartbeat() throws {
        var block = [UInt8](repeating: 0, count: 512)
        let value = HeartbeatBlock(
            sequence: 0x6b01_62aa, node: 0, generation: 0x1bf2_73b3_f619_fb9f, deadTimeMilliseconds: 62000)
        block.withUnsafeMutableBytes { value.encode(into: $0) }
        #expect(Array(block[0..<28]) == bytes("aa62016b00000000 00 000000 ff77343b 9ffb19f6b373f21b 30f20000"))
        #expect(try block.withUnsafeBytes { try HeartbeatBlock(decoding: $0) } == value)
        block[100] = 1
        #expect(throws: LayoutError.self) { try block.withUnsafeBytes { try HeartbeatBlock(decoding: $0) } }
        let zero = [UInt8](repeating: 0, count: 512)
        #expect(try zero.withUnsafeBytes { try HeartbeatBlock(decoding: $0) }.sequence == 0)
    }

    @Test("the handshake is the one seen")
    func handshake() throws {
        let value = NetHandshake(heartbeat: 60000, idle: 30000, keepalive: 2000, reconnect: 2000)
        var out = [UInt8](repeating: 0, count: 32)
        out.withUnsafeMutableBytes { value.encode(into: $0) }
        #expect(out == bytes("000000000000000b 0000000000000001 0000ea60 00007530 000007d0 000007d0"))
        #expect(try out.withUnsafeBytes { try NetHandshake(decoding: $0) } == value)
    }

    @Test("an answer is the request's header with status and magic replaced")
    func answer() throws {
        let golden = bytes("fa550001 00010000 00000000 00000000 93ee558f 00000000")
        let header = try golden.withUnsafeBytes { try NetHeader(decoding: $0) }
        var out = [UInt8](repeating: 0, count: 24)
        out.withUnsafeMutableBytes { header.answer(.handled, 0).encode(into: $0) }
        #expect(out == bytes("fa560000 00010000 00000000 00000000 93ee558f 00000000"))
        #expect(header.answer(.noHandler, 7).status == 0)
        let oversize = bytes("fa550fe9 00010000 00000000 00000000 93ee558f 00000000")
        #expect(throws: LayoutError.self) { try oversize.withUnsafeBytes { try NetHeader(decoding: $0) } }
    }

    @Test("a set of nodes is in ascending order")
    func nodeSet() {
        var set: NodeSet = [200, 3, 64]
        #expect(Array(set) == [3, 64, 200])
        set.remove(3)
        #expect(set.lowest == 64 && set.count == 2 && !set.contains(3))
        #expect(set.subtracting([64]) == [200])
    }
}

internal import EngineKit
internal import LinuxReactor
internal import Testing

@Suite("Facts of the system")
struct SystemFactsTests {
    @Test(
        "numeric addresses are read and written back",
        arguments: [
            ("10.0.0.1", "10.0.0.1:7789"), ("::1", "[::1]:7789"), ("fd00:0:0::5", "[fd00::5]:7789"),
            ("fe80::1%lo", "[fe80::1%lo]:7789"),
        ])
    func addresses(text: String, written: String) throws {
        let address = try #require(SocketAddress(numeric: text, port: 7789))
        #expect("\(address)" == written)
        #expect(SocketAddress(numeric: address.host, port: 7789) == address)
        #expect(address.withPort(1).port == 1)
    }

    @Test("what is no numeric address is not read", arguments: ["", "host", "10.0.0", "1.2.3.4%lo", "fe80::1%nowhere"])
    func noAddresses(text: String) {
        #expect(SocketAddress(numeric: text, port: 1) == nil)
    }

    @Test("the loopback interface is among the interfaces")
    func interfaces() throws {
        let loopback = try HostFacts.interfaceAddresses().first { $0.address.host == "127.0.0.1" }
        #expect(
            loopback
                == InterfaceAddress(
                    interface: "lo", address: .ipv4(address: 0x7f00_0001, port: 0), prefixLength: 8, isLoopback: true))
        #expect(!HostFacts.hostName.isEmpty)
        #expect(HostFacts.canonicalName(of: "127.0.0.1") == "127.0.0.1")
        #expect(HostFacts.canonicalName(of: "no such host") == nil)
    }

    @Test("random words do not repeat")
    func random() {
        let source: any RandomSource = SystemRandom()
        let words = (0..<100).map { _ in source.next() }
        #expect(Set(words).count == 100)
    }

    @Test("the clocks go forward and tell this century")
    func clocks() {
        let first = SystemClock.now
        #expect(SystemClock.now >= first)
        #expect(SystemClock.realtimeSeconds > 1_700_000_000)
    }

    @Test("an error says what failed and why")
    func errors() {
        #expect(SystemError(operation: "bind x", code: 98).description == "bind x: Address already in use")
    }
}

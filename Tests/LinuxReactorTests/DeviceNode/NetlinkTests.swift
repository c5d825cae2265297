import LinuxReactor
import Testing

/// Bytes from hexadecimal digits; blanks are ignored.
private func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.filter { !$0.isWhitespace })
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
}

@Suite struct NetlinkTests {
    @Test("the message that connects an nbd device nests its sockets")
    func connectMessage() {
        let export = KernelNBD.Export(sizeBytes: 1 << 20, blockBytes: 4096, flags: 0x12d, identifier: "r0")
        let message = KernelNBD.connectMessage(export, [7, 8], family: 0x1c)
        let expected = bytes(
            """
            5c000000 1c00 0500 02000000 00000000 01 01 0000
            0c00 0200 0000100000000000
            0c00 0300 0010000000000000
            0c00 0500 2d01000000000000
            0700 0a00 723000 00
            1c00 0780
                0c00 0180 0800 0100 07000000
                0c00 0180 0800 0100 08000000
            """)
        #expect(message.bytes == expected)
    }

    @Test("an answer's attributes and its acknowledgement are found")
    func reply() {
        var reply = NetlinkReply()
        let answer = bytes("1c000000 1c00 0000 02000000 00000000 01 01 0000 0800 0100 03000000")
        let acknowledgement = bytes("14000000 0200 0000 02000000 00000000 00000000")
        reply.take((answer + acknowledgement)[...])
        #expect(reply.errorNumber == 0 && reply.number(1) == 3 && reply.number(2) == nil)
    }

    @Test("an error is taken as a positive number")
    func error() {
        var reply = NetlinkReply()
        reply.take(bytes("14000000 0200 0000 02000000 00000000 feffffff")[...])
        #expect(reply.errorNumber == 2)
    }

    @Test("lengths that do not fit end the answer without harm")
    func malformed() {
        let answer = bytes("1c000000 1c00 0000 02000000 00000000 01 01 0000 0800 0100 03000000")
        for count in 0..<answer.count {
            var reply = NetlinkReply()
            reply.take(answer[..<count])
            #expect(reply.number(1) == nil)
        }
        for position in answer.indices {
            for value: UInt8 in [0, 1, 5, 0xff] {
                var changed = answer
                changed[position] = value
                var reply = NetlinkReply()
                reply.take(changed[...])
            }
        }
    }

    @Test("the kernel answers for a family that every kernel has")
    func realFamily() throws {
        let netlink = try GenericNetlink(family: "nlctrl")
        defer { netlink.close() }
        #expect(netlink.family == 16)
    }

    @Test("a driver that is not loaded is named with what to do", .enabled(if: !KernelNBD.isAvailable, "nbd is loaded"))
    func missingDriver() {
        let export = KernelNBD.Export(sizeBytes: 1 << 20, blockBytes: 4096, flags: 1, identifier: "r0")
        #expect {
            try KernelNBD.connect(export, sockets: [0])
        } throws: { error in
            "\(error)" == "find the kernel's nbd driver: No such file or directory (load it: modprobe nbd)"
        }
    }
}

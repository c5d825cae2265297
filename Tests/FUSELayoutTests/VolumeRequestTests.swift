import FUSELayout
import LayoutKit
import Testing

/// Bytes from hexadecimal digits; blanks are ignored.
private func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.filter { !$0.isWhitespace })
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
}

private func decoding<Value>(
    _ input: [UInt8], _ decode: (UnsafeRawBufferPointer) throws(LayoutError) -> Value
) throws(LayoutError) -> Value {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: input.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: input)
    return try decode(UnsafeRawBufferPointer(copy))
}

/// The golden bytes, both ways, and one byte less.
private func check<Value: FixedLayout & Equatable>(_ value: Value, _ hex: String) throws {
    let golden = bytes(hex)
    #expect(golden.count == Value.byteCount)
    var written = [UInt8](repeating: 0xee, count: Value.byteCount)
    written.withUnsafeMutableBytes { value.encode(into: $0) }
    #expect(written == golden)
    #expect(try decoding(golden, Value.init(decoding:)) == value)
    #expect(throws: LayoutError.truncated(need: Value.byteCount, have: Value.byteCount - 1)) {
        try decoding(Array(golden.dropLast()), Value.init(decoding:))
    }
}

@Suite struct VolumeRequestTests {
    @Test("requests that carry names have their fixed part first")
    func names() throws {
        try check(
            FUSEMakeNodeRequest(mode: 0o020644, device: 0x103, umask: 0o22), "a4210000 03010000 12000000 00000000")
        try check(FUSEMakeDirectoryRequest(mode: 0o40755, umask: 0o27), "ed410000 17000000")
        try check(
            FUSECreateRequest(flags: 0x8042, mode: 0o100600, umask: 2, openFlags: 1),
            "42800000 80810000 02000000 01000000")
        try check(FUSELinkRequest(node: 77), "4d00000000000000")
        try check(FUSEGetAttributesRequest(handle: 5), "01000000 00000000 0500000000000000")
        try check(FUSEGetAttributesRequest(handle: nil), "00000000 00000000 0000000000000000")
        let names = bytes("6f6c6400 6e657700")
        let first = try decoding(names) { (input) throws(LayoutError) in
            let (name, rest) = try FUSEName.split(input)
            return [Array(name), Array(try FUSEName.decode(rest))]
        }
        #expect(first == [Array("old".utf8), Array("new".utf8)])
    }

    @Test("RENAME has no flags, RENAME2 has them")
    func rename() throws {
        let plain = bytes("0200000000000000")
        #expect(
            try decoding(plain) { (input) throws(LayoutError) in
                try FUSERenameRequest(decoding: input, hasFlags: false)
            } == FUSERenameRequest(newDirectory: 2))
        let wide = bytes("0200000000000000 01000000 00000000")
        #expect(
            try decoding(wide) { (input) throws(LayoutError) in
                try FUSERenameRequest(decoding: input, hasFlags: true)
            } == FUSERenameRequest(newDirectory: 2, flags: .noReplace))
        #expect(throws: LayoutError.self) {
            try decoding(plain) { (input) throws(LayoutError) in
                try FUSERenameRequest(decoding: input, hasFlags: true)
            }
        }
    }

    @Test("locks, ioctls, copies, xattrs, flushes")
    func others() throws {
        try check(
            FUSELockRequest(handle: 1, owner: 2, start: 3, end: 4, type: .write, process: 5, isFlock: true),
            "0100000000000000 0200000000000000 0300000000000000 0400000000000000 01000000 05000000 01000000 00000000")
        try check(
            FUSELockReply(start: 3, end: 4, type: .unlock, process: 5),
            "0300000000000000 0400000000000000 02000000 05000000")
        try check(
            FUSEIoctlRequest(handle: 1, command: 0x8008_6601, inputSize: 0, outputSize: 8, flags: 16),
            "0100000000000000 10000000 01660880 0000000000000000 00000000 08000000")
        try check(FUSEIoctlReply(result: 0), "00000000 00000000 00000000 00000000")
        try check(
            FUSECopyRangeRequest(
                sourceHandle: 1, sourceOffset: 2, targetNode: 3, targetHandle: 4, targetOffset: 5, length: 6),
            "0100000000000000 0200000000000000 0300000000000000 0400000000000000 0500000000000000 0600000000000000"
                + "0000000000000000")
        try check(FUSEGetXattrRequest(size: 9), "09000000 00000000")
        try check(FUSEFlushRequest(handle: 1, lockOwner: 2), "0100000000000000 0000000000000000 0200000000000000")
        try check(FUSEAccessRequest(mask: 4), "04000000 00000000")
        let extended = bytes("05000000 02000000 01000000 00000000")
        #expect(
            try decoding(extended) { (input) throws(LayoutError) in
                try FUSESetXattrRequest(decoding: input, isExtended: true)
            } == FUSESetXattrRequest(size: 5, flags: .replace, clearsSetGroup: true))
        #expect(
            try decoding(Array(extended.prefix(8))) { (input) throws(LayoutError) in
                try FUSESetXattrRequest(decoding: input, isExtended: false)
            } == FUSESetXattrRequest(size: 5, flags: .replace))
    }

    @Test("extensions carry security contexts and groups, and unknown ones are passed over")
    func extensions() throws {
        // One context (a = "xy", padded to 16), groups 7 and 8, an extension of type 40.
        let context = bytes("18000000 01000000  02000000 00000000 6100 7879 00000000")
        let groups = bytes("14000000 20000000 02000000 07000000 08000000 00000000")
        let unknown = bytes("08000000 28000000")
        let value = try decoding(unknown + context + groups) { (input) throws(LayoutError) in
            try FUSECreateExtensions(decoding: input)
        }
        #expect(
            value
                == FUSECreateExtensions(
                    securityContexts: [.init(name: [0x61], value: [0x78, 0x79])], groups: [7, 8]))
        #expect(
            try decoding([]) { (input) throws(LayoutError) in
                try FUSECreateExtensions(decoding: input)
            } == FUSECreateExtensions())
        for cut in 9..<context.count - 8 {
            #expect(throws: LayoutError.self, "cut to \(cut)") {
                try decoding(Array(context.prefix(cut))) { (input) throws(LayoutError) in
                    try FUSECreateExtensions(decoding: input)
                }
            }
        }
    }

    @Test("notifications have unique 0 and their code in the place of the error")
    func notifications() {
        #expect(
            FUSENotification.invalidateInode(node: 2, offset: -1, length: 0).bytes
                == bytes("28000000 02000000 0000000000000000 0200000000000000 ffffffffffffffff 0000000000000000"))
        #expect(
            FUSENotification.invalidateEntry(parent: 1, name: [0x66], expiresOnly: true).bytes
                == bytes("22000000 03000000 0000000000000000 0100000000000000 01000000 01000000 6600"))
        #expect(
            FUSENotification.delete(parent: 1, child: 2, name: [0x66]).bytes
                == bytes("2a000000 06000000 0000000000000000 0100000000000000 0200000000000000 01000000 00000000 6600"))
        #expect(
            FUSENotification.store(node: 2, offset: 4096, data: [9]).bytes
                == bytes("29000000 04000000 0000000000000000 0200000000000000 0010000000000000 01000000 00000000 09"))
        #expect(FUSENotification.incrementEpoch.bytes == bytes("10000000 08000000 0000000000000000"))
    }
}

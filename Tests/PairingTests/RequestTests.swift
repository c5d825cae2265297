import Testing

@testable import Pairing

@Suite struct RequestTests {
    private func refusal(_ text: String) -> String {
        do throws(PairingRefusal) {
            let words = text.split(separator: " ").map(String.init)
            if words[0] == "init" {
                _ = try InitRequest(words: Array(words.dropFirst()))
            } else {
                _ = try JoinRequest(words: Array(words.dropFirst()))
            }
            return ""
        } catch {
            return error.text
        }
    }

    @Test("a whole init")
    func initRequest() throws {
        let words = "web --size 10G --mount=/srv/web/ --address 10.0.0.1 --sparse --port 7800 --timeout 2h"
        let request = try InitRequest(words: words.split(separator: " ").map(String.init))
        guard case .begin(let wish) = request.action else {
            Issue.record("\(request.action)")
            return
        }
        #expect((wish.byteCount, wish.mountPoint, wish.address) == (10 << 30, "/srv/web", "10.0.0.1"))
        #expect((wish.port, wish.timeoutSeconds, wish.disk.isSparse) == (7800, 7200, true))
        #expect(try InitRequest(words: ["web"]).action == .follow)
        #expect(try InitRequest(words: ["web", "--cancel"]).action == .cancel)
    }

    @Test(
        "what is missing or wrong is named",
        arguments: [
            ("init web --mount /a --address 10.0.0.1", "--size is missing"),
            ("init web --size 10G --address 10.0.0.1", "--mount is missing"),
            ("init web --size 10G --mount /a", "--address is missing"),
            ("init web --size ten --mount /a --address 10.0.0.1", "--size ten: a number"),
            ("init web --size 10G --mount a --address 10.0.0.1", "'a' is no place to mount"),
            ("init web --size 10G --mount / --address 10.0.0.1", "'/' is no place to mount"),
            ("init web --size 10G --mount /a --address host", "'host' is no IPv4 address"),
            ("init web --size 10G --mount /a --address 10.0.0.1 --port 0", "--port 0: 1 to 65535"),
            ("init web --size 10G --mount /a --address 10.0.0.1 --timeout soon", "--timeout: seconds"),
            ("init web --bogus", "unknown option '--bogus'"), ("init web --size", "--size needs a value"),
            ("init a/b --cancel", "'a/b' is no name for a resource"), ("init --cancel", "usage: yoke init"),
            ("init web --disk sda --mount /a --address 10.0.0.1", "'sda' cannot be a disk"),
            ("init web --disk /dev/sda --sparse --mount /a --address 10.0.0.1", "--sparse is for a file"),
            ("join web --address 10.0.0.2 10.0.0.1 short", "the last word is no token"),
            ("join web --address 10.0.0.2 10.0.0.1:x \(Samples.token.text)", "'10.0.0.1:x' is no ADDRESS"),
            ("join web 10.0.0.1 \(Samples.token.text)", "--address is missing"), ("join web", "usage: yoke join"),
        ])
    func faults(_ fault: (String, String)) {
        #expect(refusal(fault.0).hasPrefix(fault.1))
    }

    @Test("the printed line is a join", arguments: [8789, 8790])
    func line(_ port: Int) throws {
        let text = JoinRequest.line(resource: "web", host: "10.0.0.1", port: port, token: Samples.token)
        #expect(text.contains(":8790") == (port == 8790))
        let words = text.replacing("<address of that host>", with: "10.0.0.2").split(separator: " ").map(String.init)
        let request = try JoinRequest(words: Array(words.dropFirst(2)))
        #expect((request.resource, request.host, request.port) == ("web", "10.0.0.1", port))
        #expect(request.token == Samples.token && request.address == "10.0.0.2")
    }

    @Test(
        "sizes",
        arguments: [
            ("10G", 10 << 30), ("512M", 512 << 20), ("1.5T", 3 << 39), ("10 GiB", 10 << 30), ("1gb", 1 << 30),
            ("4096", 4096), ("8k", 8192),
        ])
    func sizes(_ size: (String, UInt64)) {
        #expect(ByteSize.parse(size.0) == size.1)
    }

    @Test(
        "what is no size",
        arguments: ["", "G", "-1G", "1.25G", "1.G", "1e9", "99999999999999999999", "16777216P", "\u{661}"])
    func noSize(_ text: String) {
        #expect(ByteSize.parse(text) == nil)
    }

    @Test("sizes as text")
    func sizeTexts() {
        #expect(ByteSize.text(10 << 30) == "10.0 GiB")
        #expect(ByteSize.text(3 << 39) == "1.5 TiB")
        #expect(ByteSize.text(100) == "100 bytes")
        #expect(ByteSize.text(.max).hasSuffix("PiB"))
    }

    @Test("texts of the other side are short and without control characters")
    func shown() {
        #expect(PlainText.shown("a\u{1b}[31m\nb") == "a?[31m?b")
        #expect(PlainText.shown(String(repeating: "x", count: 100)).count == 67)
    }
}

import Configuration
import Testing

@Suite struct SetupOptionsTests {
    private func parse(_ command: String, _ arguments: String...) throws -> SetupArguments {
        try SetupArguments.parse(arguments, command: command)
    }

    @Test("options and operands may be mixed; flags alone are yes; names may be shortened while they are unique")
    func parsing() throws {
        let connect = try parse(
            "connect", "r0", "ipv4:10.0.0.1:7789", "--protocol=a", "--timeout", "50", "ipv4:10.0.0.2:7789",
            "--allow-two-primaries", "--tcp-cork=no", "--discard", "--shared-secret=a=b")
        #expect(connect.operands == ["r0", "ipv4:10.0.0.1:7789", "ipv4:10.0.0.2:7789"])
        #expect(
            connect.options.map { "\($0.name)=\($0.value)" } == [
                "protocol=A", "timeout=50", "allow-two-primaries=yes", "tcp-cork=no", "discard-my-data=yes",
                "shared-secret=a=b",
            ])
        #expect(try parse("primary", "0", "-o").options.map(\.name) == ["force"])
        #expect(try parse("primary", "0", "--overwrite-data-of-peer").options.map(\.name) == ["force"])
        #expect(try parse("attach", "--resync-after=-1", "--al-extents=7").options.map(\.value) == ["-1", "67"])
        #expect(try parse("down", "--", "--odd").operands == ["--odd"])
    }

    @Test("wrong options and values are told in the classic words")
    func errors() {
        func text(_ command: String, _ arguments: String...) -> String {
            do throws(SetupArgumentError) {
                _ = try SetupArguments.parse(arguments, command: command)
                return "accepted"
            } catch {
                return error.text(command: command)
            }
        }
        #expect(text("attach", "--on-io-error=foo") == "Option --on-io-error: invalid argument 'foo'")
        #expect(text("connect", "--timeout=abc") == "abc is not a valid number")
        #expect(text("connect", "--timeout=9999") == "Option --timeout: 9999 => 9999 out of range [1..600]")
        #expect(text("attach", "--resync-rate=9999G").hasSuffix("10484711424k out of range [1..4194304]k"))
        #expect(text("connect", "--tcp-cork=maybe") == "Option --tcp-cork: invalid argument 'maybe'")
        #expect(text("connect", "--timeout") == "connect: option '--timeout' requires an argument")
        #expect(text("primary", "--foo") == "primary: unrecognized option '--foo'")
        #expect(text("primary", "-x") == "primary: invalid option -- 'x'")
        #expect(text("connect", "--after-sb-=x") == "connect: option '--after-sb-' is ambiguous")
        #expect(text("secondary", "--force") == "secondary: unrecognized option '--force'")
    }

    /// `[--timeout=(1 ... 600)]` and so on, as drbdsetup's usage prints it.
    private static func usage(_ option: SetupOption) -> String {
        switch option.kind {
        case .flag: option.name == "set-defaults" ? "[--set-defaults]" : "[--\(option.name)={yes|no}]"
        case .number(_, let range, _): "[--\(option.name)=(\(range.lowerBound) ... \(range.upperBound))]"
        case .enumeration(let words, _): "[--\(option.name)={\(words.joined(separator: "|"))}]"
        case .wireProtocol: "[--\(option.name)={A|B|C}]"
        case .resource: "[--\(option.name)=(-1 ... 1048575)]"
        case .text:
            option.name.hasPrefix("alternate")
                ? "[--\(option.name)=[{af}:]{local_addr}[:{port}]]" : "[--\(option.name)=<str>]"
        case .command, .names, .word: ""
        }
    }

    @Test(
        "names, ranges and words of all options are those of the 8.4 drbdsetup",
        .enabled(if: ClassicProgram.isInstalled, "needs drbd-utils"),
        arguments: [
            "attach", "disk-options", "connect", "net-options", "new-resource", "resource-options", "primary", "detach",
            "disconnect", "resize", "verify", "new-current-uuid",
        ])
    func judge(_ command: String) throws {
        let words = try ClassicProgram.shell("/lib/drbd/drbdsetup-84 help \(command) 2>&1").split { " \n".contains($0) }
        let text = words.joined(separator: " ")
        let start = try #require(text.firstRange(of: "[--")?.lowerBound)
        let expected = SetupOptions.options(of: command).map(Self.usage).joined(separator: " ")
        #expect(String(text[start...]) == expected)
    }
}

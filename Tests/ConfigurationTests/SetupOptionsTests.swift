import Configuration
import Testing

@Suite struct SetupOptionsTests {
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

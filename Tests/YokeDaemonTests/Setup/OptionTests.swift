import Configuration
import EngineKit
import Testing

@testable import Replication
@testable import YokeDaemon

@Suite struct OptionTests {
    private func entry(_ section: OptionSection, _ name: String, _ value: String) -> OptionEntry {
        OptionEntry(
            section: section, name: name, value: value, location: SourceLocation(file: "test", line: 1, column: 1))
    }

    @Test("without entries everything has the default of 8.4")
    func defaults() throws {
        #expect(DiskOptions([]) == DiskOptions())
        #expect(try NetworkOptions([]) == NetworkOptions())
        #expect(ResourceOptions([]) == ResourceOptions())
    }

    @Test("numbers come in the unit of the option")
    func numbers() throws {
        let disk = DiskOptions([
            entry(.disk, "resync-rate", "10M"), entry(.disk, "c-fill-target", "1M"), entry(.disk, "size", "1G"),
            entry(.disk, "fencing", "resource-and-stonith"), entry(.disk, "resync-after", "3"),
        ])
        #expect(disk.resyncRate == 10240)
        #expect(disk.fillTarget == 2048)
        #expect(disk.sizeSectors == 2_097_152)
        #expect(disk.fencing == .resourceAndStonith)
        #expect(disk.resyncAfterMinor == 3)
        let net = try NetworkOptions([
            entry(.net, "protocol", "b"), entry(.net, "sndbuf-size", "512k"),
            entry(.net, "after-sb-1pri", "call-pri-lost-after-sb"), entry(.net, "rr-conflict", "violently"),
            entry(.net, "cram-hmac-alg", "sha256"), entry(.net, "shared-secret", "geheim"),
        ])
        #expect(net.wireProtocol == .b)
        #expect(net.sendBufferSize == 512 << 10)
        #expect(net.afterSplitBrain1Primary == .callPriLost)
        #expect(net.onRoleConflict == .violently)
        #expect(net.authenticationAlgorithm == .sha256)
        #expect(net.sharedSecret == Array("geheim".utf8))
    }

    @Test("digests that do not exist here have the kernel's error numbers")
    func digests() {
        let unknown = #expect(throws: OptionFailure.self) {
            try NetworkOptions([entry(.net, "cram-hmac-alg", "tiger")])
        }
        #expect(unknown?.number == .authenticationAlgorithmUnknown)
        #expect(unknown?.info == "'tiger' is not one of md5, sha1, sha256, crc32c")
        let failure = #expect(throws: OptionFailure.self) {
            try NetworkOptions([entry(.net, "verify-alg", "tiger")])
        }
        #expect(failure?.number == .verifyAlgorithmUnknown)
    }

    @Test("show prints options in table order, with units and quotes")
    func shown() {
        let shown = ShownOption.list(
            .net, [entry(.net, "verify-alg", "crc32c"), entry(.net, "allow-two-primaries", "yes")])
        #expect(
            shown.filter { !$0.isDefault }.map { "\($0.name) \($0.value)" } == [
                "allow-two-primaries yes", "verify-alg \"crc32c\"",
            ])
        let defaults = ShownOption.list(.disk, [])
        #expect(!defaults.contains { !$0.isDefault })
        #expect(
            defaults.first { $0.name == "c-fill-target" }
                == ShownOption(name: "c-fill-target", value: "100s", unit: "bytes", isDefault: true))
        #expect(
            defaults.first { $0.name == "resync-rate" }
                == ShownOption(name: "resync-rate", value: "250k", unit: "bytes/second", isDefault: true))
        #expect(ShownOption.list(.options, []).first?.value == "\"\"")
    }
}

import Configuration

// A configuration file; behind a byte 0x1e the file that it may include as `inc.res`. Whatever the bytes: diagnostics
// that say something, or a model whose dump is read again as the same model.

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    let parts = input.split(separator: 0x1e, maxSplits: 1, omittingEmptySubsequences: false)
    var source = MemoryConfigurationSource()
    source.files["/etc/inc.res"] = parts.count > 1 ? Array(parts[1]) : []
    let loaded = load(Array(parts[0]), source)
    for diagnostic in loaded.diagnostics {
        precondition(!diagnostic.text.isEmpty, "a diagnostic says nothing: \(diagnostic.kind)")
        precondition(diagnostic.severity == .warning || diagnostic.exitCode != 0)
    }
    precondition(loaded.configuration != nil || loaded.exitCode != 0, "no configuration and no reason")
    guard let configuration = loaded.configuration else { return 0 }
    let dump = ConfigurationDump.all(configuration)
    let again = load(Array(dump.utf8), MemoryConfigurationSource())
    guard let same = again.configuration else {
        fatalError("the dump is refused: \(again.errors.map(\.text))\n\(dump)")
    }
    let secondDump = ConfigurationDump.all(same)
    if statements(secondDump) != statements(dump) { fatalError("the dump changed:\n\(dump)\nbecame\n\(secondDump)") }
    return 0
}

/// The lines of a dump but for its comments, which name places.
private func statements(_ dump: String) -> [Substring] {
    dump.split(separator: "\n").filter { !$0.hasPrefix("#") }
}

private func load(_ bytes: [UInt8], _ source: MemoryConfigurationSource) -> LoadedConfiguration {
    ConfigurationLoader.load(
        bytes: bytes, fileName: "/etc/drbd.conf", source: source,
        identity: HostIdentity(
            nodeName: "alpha", otherNames: ["alpha.example.org"], addressTexts: ["127.0.0.1", "10.0.0.1"]))
}

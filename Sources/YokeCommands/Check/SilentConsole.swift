internal import MetadataTools

/// For a tool that is asked only for its exit status.
final class SilentConsole: Console {
    func writeOutput(_ text: String) {}
    func writeError(_ text: String) {}
    var isInteractive: Bool { false }
    func readLine() -> String? { nil }
}

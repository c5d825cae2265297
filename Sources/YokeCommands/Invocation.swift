package import YokeControl

/// The command line as it was given: which tool, under which root, for which node.
package struct Invocation: Equatable, Sendable {
    /// Tools that keep their classic command line, by the name of the link or behind `yoke`.
    package static let classicTools = [
        "drbdadm", "drbdsetup", "drbdmeta", "drbd-overview", "mkfs.ocfs2", "mounted.ocfs2",
    ]

    /// `yoke`, or one of ``classicTools``.
    package var tool: String
    package var arguments: [String]
    /// `--root` and `--node` in front of everything else.
    package var root: String?
    package var node: String?

    /// - Parameter words: all of argv.
    ///
    /// `drbdadm ...` by a link; `yoke [--root DIR] [--node NAME] drbdadm ...`. A version suffix of the link's name
    /// (`drbdsetup-84`) does not matter.
    package init(words: [String]) {
        let program = String(words.first?.split(separator: "/").last ?? "yoke")
        let linked = Self.classicTools.first { program == $0 || program.hasPrefix($0 + "-8") }
        var rest = words.dropFirst()
        while let word = rest.first {
            if word == "--root" || word == "--node", rest.count >= 2 {
                let value = rest[rest.index(after: rest.startIndex)]
                if word == "--root" { root = value } else { node = value }
                rest = rest.dropFirst(2)
            } else if word.hasPrefix("--root=") {
                root = String(word.dropFirst(7))
                rest = rest.dropFirst()
            } else if word.hasPrefix("--node=") {
                node = String(word.dropFirst(7))
                rest = rest.dropFirst()
            } else {
                break
            }
        }
        if let linked {
            tool = linked
            arguments = Array(rest)
        } else if let first = rest.first, Self.classicTools.contains(first) {
            tool = first
            arguments = Array(rest.dropFirst())
        } else {
            tool = "yoke"
            arguments = Array(rest)
        }
    }

    package var paths: InstallationPaths { InstallationPaths(option: root) }
    /// The name of this host, where it is not the machine's.
    package var nodeOverride: String? { paths.nodeOverride(option: node) }
}

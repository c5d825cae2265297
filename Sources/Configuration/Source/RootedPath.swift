/// A path of the configuration as seen by a process under `root`: ROOT + path if there is such a file, else the path
/// itself, so that `/dev/loop7` works both ways.
package func resolvedPath(_ path: String, root: String, exists: (String) -> Bool) -> String {
    guard path.hasPrefix("/"), let prefix = rootPrefix(root) else { return path }
    let rooted = prefix + path
    return exists(rooted) ? rooted : path
}

/// The same, asking the source of the configuration.
package func resolvedPath(_ path: String, root: String, source: any ConfigurationSource) -> String {
    resolvedPath(path, root: root) { !source.glob(escapedForGlob($0)).isEmpty }
}

/// `path` below `root`, whether it exists or not.
package func pathBelowRoot(_ path: String, root: String) -> String {
    guard let prefix = rootPrefix(root) else { return path }
    return prefix + path
}

/// The root without a slash at its end; nil if it is the real one.
private func rootPrefix(_ root: String) -> String? {
    var prefix = root[...]
    while prefix.hasSuffix("/") { prefix = prefix.dropLast() }
    return prefix.isEmpty ? nil : String(prefix)
}

private func escapedForGlob(_ path: String) -> String {
    var result = ""
    for character in path {
        if "*?[\\".contains(character) { result.append("\\") }
        result.append(character)
    }
    return result
}

internal import Configuration

/// What may stand in the files that are written: nothing that a parser of one of them could read differently. Both sides
/// check everything that came over the network with it.
package enum PlainText {
    /// Names of resources become labels, names of files and words of commands. A label has at most 63 bytes.
    package static func problem(ofResource name: String) -> String? {
        let isGood =
            (1...48).contains(name.utf8.count) && isWord(name, also: "_-.")
            && name.utf8.first.map(isLetterOrDigit) == true && name != "all"
        return isGood ? nil : "'\(shown(name))' is no name for a resource: letters, digits, '_', '-', '.', at most 48"
    }

    package static func problem(ofNode name: String) -> String? {
        let isGood = (1...ClusterNode.nameByteCountMax).contains(name.utf8.count) && isWord(name, also: "_-.")
        return isGood ? nil : "'\(shown(name))' is no name of a host"
    }

    package static func problem(ofMountPoint path: String) -> String? {
        guard isPath(path), path != "/", !path.hasSuffix("/") else {
            return "'\(shown(path))' is no place to mount: an absolute path of letters, digits and '_-.,+@:=' is wanted"
        }
        return nil
    }

    package static func problem(ofDisk path: String) -> String? {
        isPath(path)
            ? nil : "'\(shown(path))' cannot be a disk: an absolute path of letters, digits and '_-.,+@:=' is wanted"
    }

    /// IPv4, since the filesystem's cluster has no other. Spec: o2cb 2.2.
    package static func problem(ofAddress text: String) -> String? {
        ClusterNode.isAddress(text)
            ? nil : "'\(shown(text))' is no IPv4 address, four numbers with dots; the cluster's nodes have no others"
    }

    private static func isPath(_ path: String) -> Bool {
        path.hasPrefix("/") && path.utf8.count <= 255 && isWord(path, also: "/_-.,+@:=") && !path.contains("//")
            && !path.split(separator: "/").contains { $0 == "." || $0 == ".." }
    }

    private static func isWord(_ text: String, also characters: String) -> Bool {
        text.utf8.allSatisfy { isLetterOrDigit($0) || characters.utf8.contains($0) }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: false
        }
    }

    /// A text of the other side, safe to print: short, and no control characters.
    package static func shown(_ text: String, max: Int = 64) -> String {
        let scalars = text.unicodeScalars.prefix(max).map { scalar in
            scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) ? Unicode.Scalar("?") : scalar
        }
        var result = String.UnicodeScalarView()
        result.append(contentsOf: scalars)
        return String(result) + (text.unicodeScalars.count > max ? "..." : "")
    }
}

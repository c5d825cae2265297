internal import Glibc

/// The helpers of mount(8) and umount(8): `mount.ocfs2 SPEC DIR [-sfnv] [-N NS] [-o OPTIONS]`.
///
/// Exit statuses are mount(8)'s: 0 success, 1 usage, 2 system, 32 failure.
package enum MountHelper {
    private static let usageStatus: Int32 = 1
    private static let failureStatus: Int32 = 32

    package static func mount(_ arguments: [String], _ call: DaemonCall) -> Int32 {
        guard let parsed = MountArguments(arguments, takesOptions: true), parsed.names.count == 2 else {
            StandardStreams.error("usage: mount.ocfs2 DEVICE DIRECTORY [-sfnv] [-o OPTIONS]\n")
            return usageStatus
        }
        var words = ["mount"]
        if parsed.isSloppy { words.append("-s") }
        if parsed.isFake { words.append("-f") }
        for text in parsed.options { words += ["-o", text] }
        words += [absolute(parsed.names[0], isSource: true), absolute(parsed.names[1], isSource: false)]
        return status(call.run(words))
    }

    package static func unmount(_ arguments: [String], _ call: DaemonCall) -> Int32 {
        guard let parsed = MountArguments(arguments, takesOptions: false), parsed.names.count == 1 else {
            StandardStreams.error("usage: umount.ocfs2 DIRECTORY [-lfnrv]\n")
            return usageStatus
        }
        let name = absolute(parsed.names[0], isSource: true)
        return status(call.run(["umount"] + (parsed.isLazy ? ["--lazy"] : []) + [name]))
    }

    /// No daemon is a failure of the mount.
    private static func status(_ status: Int32) -> Int32 {
        status == 20 ? failureStatus : status
    }

    /// The daemon has another working directory. Marks (`LABEL=`), resources and what does not exist stay as they are.
    static func absolute(_ name: String, isSource: Bool) -> String {
        if isSource, name.hasPrefix("LABEL=") || name.hasPrefix("UUID=") { return name }
        // Without asking the last component, which may be a mount that does not answer.
        let parts = name.split(separator: "/", omittingEmptySubsequences: true)
        guard let last = parts.last, last != ".", last != ".." else { return resolved(name) ?? name }
        let isAbsolute = name.hasPrefix("/")
        if isSource, !isAbsolute, access(name, F_OK) != 0 { return name }
        let parent = (isAbsolute ? "/" : "") + parts.dropLast().joined(separator: "/")
        guard let base = resolved(parent.isEmpty ? "." : parent) else { return name }
        var path = base == "/" ? "/\(last)" : "\(base)/\(last)"
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        if readlink(path, &target, target.count - 1) > 0, let real = resolved(path) { path = real }
        return path
    }

    private static func resolved(_ name: String) -> String? {
        guard let real = realpath(name, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}

/// The words of mount(8)'s helpers.
struct MountArguments: Equatable {
    var names: [String] = []
    var options: [String] = []
    var isSloppy = false
    var isFake = false
    var isLazy = false

    /// Nil: not understood.
    init?(_ arguments: [String], takesOptions: Bool) {
        var rest = arguments[...]
        while let word = rest.popFirst() {
            if word == "-o" || word == "-t" || word == "-N" {
                guard let value = rest.popFirst(), word != "-N" else { return nil }
                if word == "-o", takesOptions { options.append(value) }
            } else if word.hasPrefix("-o"), takesOptions {
                options.append(String(word.dropFirst(2)))
            } else if word.hasPrefix("-"), word.count > 1 {
                for letter in word.dropFirst() {
                    switch letter {
                    case "s": isSloppy = true
                    case "f": isFake = true
                    case "l": isLazy = true
                    case "n", "v", "r", "w": break
                    default: return nil
                    }
                }
            } else {
                names.append(word)
            }
        }
    }
}

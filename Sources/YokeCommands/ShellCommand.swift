internal import Administration
internal import Glibc

/// `/bin/sh -c COMMAND` as a child that shares the standard streams.
enum ShellCommand {
    static func run(_ command: String, environment: [(String, String)]) -> ToolResult {
        var variables = currentEnvironment().filter { entry in
            !environment.contains { entry.hasPrefix($0.0 + "=") }
        }
        variables += environment.map { "\($0.0)=\($0.1)" }
        var words = cStrings(["/bin/sh", "-c", command])
        var entries = cStrings(variables)
        defer { for pointer in words + entries { free(pointer) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, "/bin/sh", nil, nil, &words, &entries)
        guard code == 0 else { return .notRun(String(cString: strerror(code))) }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 { guard errno == EINTR else { return .notRun("lost the child") } }
        // Exited: the low seven bits are zero; else they are the signal.
        return .exited(status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f))
    }

    /// With the null pointer that ends the list.
    private static func cStrings(_ strings: [String]) -> [UnsafeMutablePointer<CChar>?] {
        var pointers: [UnsafeMutablePointer<CChar>?] = []
        for text in strings { pointers.append(strdup(text)) }
        pointers.append(nil)
        return pointers
    }

    private static func currentEnvironment() -> [String] {
        var result: [String] = []
        var next = environ
        while let entry = next.pointee {
            result.append(String(cString: entry))
            next += 1
        }
        return result
    }
}

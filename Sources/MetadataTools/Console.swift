internal import Glibc

/// Where an offline tool writes, and whom it asks. Tests bring their own.
package protocol Console: AnyObject {
    func writeOutput(_ text: String)
    func writeError(_ text: String)
    /// Whether somebody can answer a question.
    var isInteractive: Bool { get }
    /// One line of the answer, without its newline; nil at the end of the input.
    func readLine() -> String?
}

/// The standard streams of the process.
package final class StandardConsole: Console {
    package init() {}

    package func writeOutput(_ text: String) {
        Self.write(text, to: STDOUT_FILENO)
    }

    package func writeError(_ text: String) {
        Self.write(text, to: STDERR_FILENO)
    }

    package var isInteractive: Bool { isatty(STDIN_FILENO) == 1 }

    package func readLine() -> String? {
        Swift.readLine()
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return
            }
            bytes = bytes.dropFirst(count)
        }
    }
}

extension Console {
    /// Asks on standard error; only the whole word `yes` is a yes. Spec: drbd-config-and-tools 14.
    ///
    /// With `forced` nobody is asked; without a terminal nothing is confirmed.
    func confirm(_ question: String, forced: Bool) -> Bool {
        writeError("\n\(question)\n")
        if forced {
            writeError("*** confirmation forced via --force option ***\n")
            return true
        }
        guard isInteractive else {
            writeError("stdin not a TTY, not waiting for confirmation\n")
            return false
        }
        writeError("[need to type 'yes' to confirm] ")
        let isConfirmed = readLine() == "yes"
        writeError("\n")
        return isConfirmed
    }
}

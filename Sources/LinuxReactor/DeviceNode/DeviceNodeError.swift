internal import Glibc

/// Why a device node could not be made or taken away: what was tried on which object, why it failed, what to do.
package struct DeviceNodeError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was tried and on what, for example "mount /run/yoke/r0".
    package var operation: String
    /// The error number; 0 when no system call failed.
    package var code: Int32
    /// What helps; may be empty.
    package var advice: String

    init(_ operation: String, code: Int32, advice: String = "") {
        self.operation = operation
        self.code = code
        self.advice = advice
    }

    package var description: String {
        var text = operation
        if code != 0, let reason = strerror(code) { text += ": \(String(cString: reason))" }
        if !advice.isEmpty { text += " (\(advice))" }
        return text
    }
}

internal import Glibc

/// A system call that failed: what was tried, on what, and the error number.
package struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The call and its object, for example `bind 10.0.0.1:7789`.
    package var operation: String
    /// The error number (`errno`).
    package var code: Int32

    package init(operation: String, code: Int32) {
        self.operation = operation
        self.code = code
    }

    package var description: String { "\(operation): \(SystemError.text(of: code))" }

    /// The C library's words for an error number.
    package static func text(of code: Int32) -> String {
        // strerror_r of this library returns either the buffer or a constant.
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
            guard let base = buffer.baseAddress, strerror_r(code, base, buffer.count) == 0 else {
                return "error \(code)"
            }
            return String(cString: base)
        }
    }
}

/// Repeats a system call while a signal interrupts it; the result, or the negative error number.
@inline(__always)
func retryingInterrupted(_ call: () -> Int) -> Int {
    while true {
        let result = call()
        if result >= 0 { return result }
        let code = errno
        if code != EINTR { return -Int(code) }
    }
}

internal import CYoke
internal import EngineKit
internal import Glibc

/// Random bits of the kernel (getrandom), taken 256 bytes at a time. For one thread.
package final class SystemRandom: RandomSource {
    private var words = [UInt64](repeating: 0, count: 32)
    private var used = 32

    package init() {}

    package func next() -> UInt64 {
        if used == words.count {
            words.withUnsafeMutableBytes { SystemRandom.fill($0) }
            used = 0
        }
        let word = words[used]
        // A challenge that was used must not stay in memory.
        words[used] = 0
        used += 1
        return word
    }

    /// Fills `bytes` from the kernel's generator.
    package static func fill(_ bytes: UnsafeMutableRawBufferPointer) {
        var done = 0
        while done < bytes.count, let base = bytes.baseAddress {
            let count = retryingInterrupted { getrandom(base + done, bytes.count - done, 0) }
            guard count > 0 else { fatalError("getrandom: \(SystemError.text(of: Int32(-count)))") }
            done += count
        }
    }
}

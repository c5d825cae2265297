internal import Synchronization

/// An answer that is given once, from any thread. If everybody who could give it is gone, the answer is nil: nobody
/// waits for ever for a reactor that ended.
package final class Promise<Value: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Value?, Never>?>

    private init(_ continuation: CheckedContinuation<Value?, Never>) {
        self.continuation = Mutex(continuation)
    }

    deinit {
        continuation.withLock { $0.take() }?.resume(returning: nil)
    }

    /// The second and later answers are dropped.
    package func fulfil(_ value: Value) {
        continuation.withLock { $0.take() }?.resume(returning: value)
    }

    /// Waits for the answer of whoever `body` hands the promise to.
    package static func wait(_ body: (Promise<Value>) -> Void) async -> Value? {
        await withCheckedContinuation { body(Promise($0)) }
    }
}

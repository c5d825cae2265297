/// Work that is away on a worker thread, seen from the reactor.
class AnyOffload {
    /// On the reactor's thread.
    func complete() {}
}

/// `@unchecked Sendable`: the worker writes `result` before it posts the end, the reactor reads it after; `completion`
/// is only touched by the reactor, and dropped there, so that what it captures dies on that thread.
private final class Offload<Result: Sendable>: AnyOffload, @unchecked Sendable {
    var result: Result?
    var completion: ((Result) -> Void)?

    init(completion: @escaping (Result) -> Void) {
        self.completion = completion
    }

    override func complete() {
        guard let result, let completion else { return }
        self.completion = nil
        completion(result)
    }
}

extension Reactor {
    /// Runs `work`, which may block, on a worker thread, and `completion` with its result on the reactor's thread.
    /// False when too much work waits; nothing is run then.
    package func offload<Result: Sendable>(
        _ work: @escaping @Sendable () -> Result, completion: @escaping (Result) -> Void
    ) -> Bool {
        preconditionOnThread()
        lastOffload += 1
        let number = lastOffload
        let offload = Offload(completion: completion)
        offloads[number] = offload
        let isAccepted = workers.add { [self] in
            offload.result = work()
            // A reactor that ended drops its offloads itself.
            _ = mailbox.post { self.offloads.removeValue(forKey: number)?.complete() }
        }
        if !isAccepted { offloads[number] = nil }
        return isAccepted
    }
}

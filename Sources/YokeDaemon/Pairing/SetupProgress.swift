internal import Synchronization
internal import YokeControl

/// What a set-up tells whoever follows it: all lines from the first on, then how it ended.
final class SetupProgress: Sendable {
    private struct State {
        var lines: [String] = []
        var outcome: (status: Int32, text: String)?
        var followers: [Int: AsyncStream<String>.Continuation] = [:]
        var lastFollower = 0
    }

    private let state = Mutex(State())

    func say(_ line: String) {
        state.withLock { state in
            state.lines.append(line)
            for follower in state.followers.values { follower.yield(line) }
        }
    }

    /// Only the first call counts.
    func finish(_ status: Int32, _ text: String) {
        state.withLock { state in
            guard state.outcome == nil else { return }
            state.outcome = (status, text)
            for follower in state.followers.values { follower.finish() }
            state.followers = [:]
        }
    }

    var isFinished: Bool { state.withLock { $0.outcome != nil } }

    /// Until the end, or until the client goes away.
    func follow(_ output: ControlOutput) async -> Int32 {
        let (stream, continuation) = AsyncStream<String>.makeStream()
        state.withLock { state in
            for line in state.lines { continuation.yield(line) }
            if state.outcome != nil {
                continuation.finish()
            } else {
                state.lastFollower += 1
                state.followers[state.lastFollower] = continuation
            }
        }
        for await line in stream { output.standardOutput(line + "\n") }
        guard let outcome = state.withLock({ $0.outcome }) else { return 0 }
        if outcome.status == 0 {
            output.standardOutput(outcome.text + "\n")
        } else {
            output.standardError(outcome.text + "\n")
        }
        return outcome.status
    }
}

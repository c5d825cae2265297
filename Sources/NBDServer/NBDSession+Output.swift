package import EngineKit

extension NBDSession {
    /// Lets `send` take from the output what the socket takes, then goes on as after ``sent(_:into:)``.
    package func withOutput<Result>(into actions: inout [NBDAction], _ send: (inout OutputQueue) -> Result) -> Result {
        let result = send(&output)
        if phase != .closed { makeProgress(into: &actions) }
        return result
    }
}

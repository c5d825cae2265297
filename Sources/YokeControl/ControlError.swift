/// Why a command did not reach the daemon, or its answer did not come back. The texts are for a person.
package enum ControlError: Error, Equatable {
    /// Nobody listens on the control socket.
    case notRunning(root: String)
    case notAllowed(path: String)
    case cannotConnect(path: String, reason: String)
    /// The connection ended before the exit status came.
    case connectionLost(reason: String)
    case badFrame(String)
    case noAnswer(seconds: Int)
}

extension ControlError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notRunning(let root):
            "yoked is not running under \(root): start it with: yoked --root \(root)"
        case .notAllowed(let path):
            "not allowed to use \(path): run this command as the user that runs yoked (root)"
        case .cannotConnect(let path, let reason):
            "cannot connect to \(path): \(reason); is yoked healthy? its log says more"
        case .connectionLost(let reason):
            "yoked closed the connection before the command ended (\(reason)); look at its log, then repeat the command"
        case .noAnswer(let seconds):
            "yoked did not answer within \(seconds) s; its log may say what it waits for"
        case .badFrame(let reason):
            "control socket: bad frame: \(reason)"
        }
    }
}

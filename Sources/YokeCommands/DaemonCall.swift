package import YokeControl

/// Has the daemon run a command, with its output on the standard streams.
package struct DaemonCall: Sendable {
    package let paths: InstallationPaths
    package let node: String?

    package init(paths: InstallationPaths, node: String?) {
        self.paths = paths
        self.node = node
    }

    /// The exit status; 20 when the daemon cannot be reached, as with a missing kernel module.
    package func run(_ command: [String], hidesErrors: Bool = false) -> Int32 {
        do throws(ControlError) {
            return try ControlClient(paths: paths).run(
                ControlRequest(command: command, node: node, columns: StandardStreams.columns)
            ) { reply in
                switch reply {
                case .standardOutput(let text): StandardStreams.output(text)
                case .standardError(let text): if !hidesErrors { StandardStreams.error(text) }
                case .exit: break
                }
            }
        } catch {
            if !hidesErrors { StandardStreams.error(error.description + "\n") }
            return 20
        }
    }

    /// The exit status and standard output; nil when the daemon cannot be reached.
    package func capture(_ command: [String]) -> (status: Int32, output: String)? {
        var text = ""
        do throws(ControlError) {
            let status = try ControlClient(paths: paths).run(ControlRequest(command: command, node: node)) { reply in
                if case .standardOutput(let part) = reply { text += part }
            }
            return (status, text)
        } catch {
            return nil
        }
    }
}

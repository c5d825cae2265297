import Configuration

/// `o2cb configure`: questions with the current value in brackets. Spec: o2cb 3.2.
///
/// Deviation: it asks on Debian too, where the classic service points to dpkg-reconfigure; where the file says nothing
/// of a timer it proposes the kernel's, as there. An end of input ends it with nothing written.
struct ServiceDialogue {
    let program: ClusterProgram

    /// The end of input.
    private struct Ended: Error {}

    func run(_ settings: inout ServiceSettings) -> Int32 {
        show(
            """
            Configuring the O2CB driver.

            This will configure the on-boot properties of the O2CB driver.
            The following questions will determine whether the driver is loaded on
            boot.  The current values will be shown in brackets ('[]').  Hitting
            <ENTER> without typing an answer will keep that current value.  Ctrl-C
            will abort.


            """)
        do throws(Ended) {
            try ask(&settings)
        } catch {
            show("\n")
            return 1
        }
        show("Writing O2CB configuration: ")
        guard program.write(settings) else {
            show("Failed\n")
            return 1
        }
        show("OK\n")
        for problem in settings.problems { program.complain(problem.shortText) }
        return settings.isEnabled ? program.online(settings.bootCluster) : program.offline(settings.bootCluster)
    }

    private func ask(_ settings: inout ServiceSettings) throws(Ended) {
        let boot = try answer("Load O2CB driver on boot (y/n) [\(settings.isEnabled ? "y" : "n")]: ") { answer in
            ["y", "Y", "n", "N"].contains(answer) ? nil : "Invalid answer: \(answer)"
        }
        if let boot { settings.set("O2CB_ENABLED", to: boot.lowercased() == "y" ? "true" : "false") }
        let stack = try answer("Cluster stack backing O2CB [\(settings.stack)]: ") { answer in
            // Four characters of any kind for the classic dialogue; here there is one stack.
            answer == "o2cb" ? nil : "Invalid answer: \(answer)"
        }
        if let stack { settings.set("O2CB_STACK", to: stack) }
        let current = settings.bootCluster ?? "none"
        let cluster = try answer("Cluster to start on boot (Enter \"none\" to clear) [\(current)]: ") { answer in
            Cluster.problem(ofName: answer) == nil ? nil : "Invalid cluster name: \(answer)"
        }
        if let cluster { settings.set("O2CB_BOOTCLUSTER", to: cluster == "none" ? "" : cluster) }
        for timer in ServiceSettings.Timer.allCases { try ask(timer, &settings) }
    }

    private func ask(_ timer: ServiceSettings.Timer, _ settings: inout ServiceSettings) throws(Ended) {
        let prompt = "Specify \(timer.question) (>=\(timer.minimum)) [\(settings.timers[timer])]: "
        let value = try answer(prompt) { answer in
            guard !answer.isEmpty, answer.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(answer)
            else {
                return "Invalid \(timer.variable) value: \(answer)"
            }
            return number < timer.minimum ? "\(timer.variable) cannot be less than \(timer.minimum)" : nil
        }
        if let value { settings.set(timer.variable, to: value) }
    }

    /// Asks until the answer is good; nil for an empty one.
    private func answer(_ prompt: String, complaint: (String) -> String?) throws(Ended) -> String? {
        while true {
            show(prompt)
            guard let line = program.context.readLine() else { throw Ended() }
            if line.isEmpty { return nil }
            guard let text = complaint(line) else { return line }
            program.context.output.standardError(text + "\n")
        }
    }

    private func show(_ text: String) { program.print(text) }
}

extension ServiceSettings.Timer {
    fileprivate var question: String {
        switch self {
        case .threshold: "heartbeat dead threshold"
        case .idle: "network idle timeout in ms"
        case .keepalive: "network keepalive delay in ms"
        case .reconnect: "network reconnect delay in ms"
        }
    }
}

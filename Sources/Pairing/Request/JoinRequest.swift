/// `join NAME --address ADDRESS [--disk DEVICE] [--sparse] [--overwrite] HOST[:PORT] TOKEN`: the line that `yoke init`
/// printed.
package struct JoinRequest: Equatable, Sendable {
    package var resource: String
    /// Of this host.
    package var address: String
    package var disk: InitRequest.DiskWish
    /// Where the other host waits.
    package var host: String
    package var port: Int
    package var token: PairingToken

    package init(words: [String]) throws(PairingRefusal) {
        let scanner = try WordScanner(
            words, values: ["--address", "--disk"], flags: ["--sparse", "--overwrite"])
        guard scanner.plain.count == 3 else {
            throw PairingRefusal("usage: yoke join NAME --address ADDRESS HOST[:PORT] TOKEN, as yoke init printed it")
        }
        resource = scanner.plain[0]
        if let problem = PlainText.problem(ofResource: resource) { throw PairingRefusal(problem) }
        guard let address = scanner.values["--address"] else {
            throw PairingRefusal("--address is missing: the address of this host that the other one reaches")
        }
        if let problem = PlainText.problem(ofAddress: address) { throw PairingRefusal(problem) }
        self.address = address
        disk = try InitRequest.DiskWish(scanner)
        let parts = scanner.plain[1].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, let port = parts.count == 2 ? Int(parts[1]) : PairPlan.rendezvousPort,
            (1...65535).contains(port)
        else { throw PairingRefusal("'\(PlainText.shown(scanner.plain[1]))' is no ADDRESS or ADDRESS:PORT") }
        host = parts[0]
        self.port = port
        if let problem = PlainText.problem(ofAddress: host) { throw PairingRefusal(problem) }
        guard let token = PairingToken(scanner.plain[2]) else {
            throw PairingRefusal("the last word is no token: copy the whole line that yoke init printed")
        }
        self.token = token
    }

    /// The line for the other host.
    package static func line(resource: String, host: String, port: Int, token: PairingToken) -> String {
        let place = port == PairPlan.rendezvousPort ? host : "\(host):\(port)"
        return "yoke join \(resource) --address <address of that host> \(place) \(token.text)"
    }
}

import Configuration
import CryptoDigests

@testable import Pairing

enum Samples {
    static let digests = SystemDigests()
    static let token = PairingToken(bytes: Array(0..<20))

    static func survey(
        _ node: String, _ address: String, resource: String = "web", free: UInt64 = 100 << 30
    ) -> HostSurvey {
        HostSurvey(
            release: "0.1", resource: resource, node: node, address: address,
            disk: PairDisk(path: PairFiles.image(resource), isNewFile: true, byteCount: free))
    }

    static var alpha: HostSurvey { survey("alpha", "10.0.0.1") }
    static var beta: HostSurvey { survey("beta", "10.0.0.2") }

    static func plan(
        _ own: HostSurvey = alpha, _ peer: HostSurvey = beta, size: UInt64 = 10 << 30, port: Int? = nil
    ) throws(PairingRefusal) -> PairPlan {
        try PairPlan(
            resource: "web", byteCount: size, mountPoint: "/srv/web", port: port, own: own, peer: peer)
    }

    /// Both ends of an authenticated connection.
    static func sessions() throws -> (host: PairingSession, guest: PairingSession) {
        let greeting = PairingGreeting(nonce: [UInt8](repeating: 1, count: 32))
        let nonce = [UInt8](repeating: 2, count: 32)
        let proof = PairingSession.proof(for: greeting, nonce: nonce, token: token, digests: digests)
        let (host, welcome) = try PairingSession.accept(proof, greeting: greeting, token: token, digests: digests)
        let guest = try PairingSession.enter(
            welcome, greeting: greeting, nonce: nonce, token: token, digests: digests)
        return (host, guest)
    }

    static func cluster(_ nodes: [(String, String)], name: String = "shop") -> String {
        var cluster = Cluster(name: name)
        for (number, node) in nodes.enumerated() {
            cluster.add(ClusterNode(name: node.0, number: number, address: node.1))
        }
        return ClusterFile(clusters: [cluster]).text
    }
}

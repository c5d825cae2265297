import EngineKit
import Testing

@testable import Pairing

@Suite struct LinkTests {
    @Test("a token survives its text, in capitals and without dashes too")
    func tokenText() {
        let text = Samples.token.text
        #expect(text.count == 39)
        #expect(PairingToken(text) == Samples.token)
        #expect(PairingToken(text.uppercased()) == Samples.token)
        #expect(PairingToken(text.replacing("-", with: "")) == Samples.token)
        let ones = PairingToken(bytes: [UInt8](repeating: 0xff, count: 20))
        #expect(ones.text == "zzzz-zzzz-zzzz-zzzz-zzzz-zzzz-zzzz-zzzz")
        #expect(PairingToken(ones.text) == ones)
    }

    @Test("what is no token is none", arguments: ["", "zzzz", "uuuu-uuuu-uuuu-uuuu-uuuu-uuuu-uuuu-uuuu", "\u{e9}"])
    func noToken(_ text: String) {
        #expect(PairingToken(text) == nil)
        #expect(PairingToken(Samples.token.text + "0") == nil)
    }

    @Test("both sides derive the same shared secret, another one for each resource and token")
    func sharedSecret() {
        let keys = PairingKeys(token: Samples.token, digests: Samples.digests)
        let secret = keys.sharedSecret(resource: "web")
        #expect(secret.utf8.count == 32)
        #expect(secret == PairingKeys(token: Samples.token, digests: Samples.digests).sharedSecret(resource: "web"))
        #expect(secret != keys.sharedSecret(resource: "mail"))
        let other = PairingToken(bytes: [UInt8](repeating: 7, count: 20))
        #expect(secret != PairingKeys(token: other, digests: Samples.digests).sharedSecret(resource: "web"))
    }

    @Test("messages pass in both directions")
    func conversation() throws {
        var (host, guest) = try Samples.sessions()
        let survey = PairingMessage.survey(Samples.beta)
        #expect(try host.open(guest.seal(survey)) == survey)
        let plan = PairingMessage.plan(try Samples.plan())
        #expect(try guest.open(host.seal(plan)) == plan)
        for message in [PairingMessage.done, .order(.keep), .failed("no room")] {
            #expect(try host.open(guest.seal(message)) == message)
        }
    }

    @Test("another token is no proof, and no welcome")
    func wrongToken() throws {
        let other = PairingToken(bytes: [UInt8](repeating: 7, count: 20))
        let greeting = PairingGreeting(nonce: [UInt8](repeating: 1, count: 32))
        let nonce = [UInt8](repeating: 2, count: 32)
        let proof = PairingSession.proof(for: greeting, nonce: nonce, token: other, digests: Samples.digests)
        #expect(throws: PairingLinkError.notAuthentic) {
            try PairingSession.accept(proof, greeting: greeting, token: Samples.token, digests: Samples.digests)
        }
        let (_, welcome) = try PairingSession.accept(proof, greeting: greeting, token: other, digests: Samples.digests)
        #expect(throws: PairingLinkError.notAuthentic) {
            try PairingSession.enter(
                welcome, greeting: greeting, nonce: nonce, token: Samples.token, digests: Samples.digests)
        }
        #expect(throws: PairingLinkError.refused(.busy)) {
            try PairingSession.enter(
                PairingWelcome(status: .busy), greeting: greeting, nonce: nonce, token: other, digests: Samples.digests)
        }
    }

    @Test("a proof for one greeting does not fit another: nothing can be played back")
    func replayedProof() {
        let nonce = [UInt8](repeating: 2, count: 32)
        let first = PairingGreeting(nonce: [UInt8](repeating: 1, count: 32))
        let second = PairingGreeting(nonce: [UInt8](repeating: 3, count: 32))
        let proof = PairingSession.proof(for: first, nonce: nonce, token: Samples.token, digests: Samples.digests)
        #expect(throws: PairingLinkError.notAuthentic) {
            try PairingSession.accept(proof, greeting: second, token: Samples.token, digests: Samples.digests)
        }
    }

    @Test("a frame that was repeated, swapped, sent back or changed in any bit is refused")
    func tampering() throws {
        var (host, guest) = try Samples.sessions()
        let first = try guest.seal(.done)
        let second = try guest.seal(.failed("x"))
        #expect(throws: PairingLinkError.notAuthentic) {
            var swapped = host
            _ = try swapped.open(second)
        }
        #expect(throws: PairingLinkError.notAuthentic) {
            var reflected = guest
            _ = try reflected.open(first)
        }
        for bit in 0..<first.count * 8 {
            var changed = first
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            var copy = host
            #expect(throws: PairingLinkError.notAuthentic) { _ = try copy.open(changed) }
        }
        #expect(try host.open(first) == .done)
        #expect(throws: PairingLinkError.notAuthentic) { _ = try host.open(first) }
    }

    @Test("handshake messages survive their bytes, and nothing shorter, longer or foreign is accepted")
    func handshakeLayout() throws {
        let greeting = PairingGreeting(nonce: Array(0..<32))
        #expect(greeting.bytes.count == PairingGreeting.byteCount && greeting.bytes.count == 44)
        #expect(Array(greeting.bytes.prefix(12)) == Array("YOKEPAIR".utf8) + [0, 1, 0, 0])
        #expect(try PairingGreeting(decoding: greeting.bytes) == greeting)
        let proof = PairingProof(nonce: Array(0..<32), code: Array(32..<64))
        #expect(proof.bytes.count == 76)
        #expect(try PairingProof(decoding: proof.bytes) == proof)
        let welcome = PairingWelcome(status: .wrongToken)
        #expect(welcome.bytes.count == 44)
        #expect(try PairingWelcome(decoding: welcome.bytes) == welcome)
        for bytes in [greeting.bytes, proof.bytes, welcome.bytes] {
            #expect(throws: PairingLinkError.self) { _ = try PairingGreeting(decoding: Array(bytes.dropLast())) }
            #expect(throws: PairingLinkError.self) { _ = try PairingProof(decoding: Array(bytes.dropLast())) }
            #expect(throws: PairingLinkError.self) { _ = try PairingWelcome(decoding: bytes + [0]) }
        }
        #expect(throws: PairingLinkError.foreign) { _ = try PairingProof(decoding: Array("GET / HTTP/1.1".utf8)) }
        var other = greeting.bytes
        other[9] = 2
        #expect(throws: PairingLinkError.otherVersion(2)) { _ = try PairingGreeting(decoding: other) }
        #expect(throws: PairingLinkError.tooLong(byteCount: 0x4745_5420, byteCountMax: 128)) {
            _ = try PairingFrame.length(of: Array("GET ".utf8), max: PairingFrame.strangerByteCountMax)
        }
    }

    @Test("no bytes make a decoder trap", arguments: 0..<64)
    func hostileBytes(_ seed: UInt64) throws {
        let random = SeededRandom(seed: seed)
        var inputs = [
            PairingGreeting(nonce: Array(0..<32)).bytes, PairingProof(nonce: Array(0..<32), code: Array(0..<32)).bytes,
            PairingWelcome(status: .welcome).bytes, try PairingMessage.plan(Samples.plan()).encoded(),
            try PairingMessage.survey(Samples.alpha).encoded(), Array("[[[[[[[[[[".utf8), [],
        ]
        inputs.append([UInt8](repeating: UInt8(ascii: "["), count: 60000))
        for input in inputs {
            var bytes = input
            for _ in 0..<1 + random.next(below: 8) where !bytes.isEmpty {
                let place = Int(random.next(below: UInt64(bytes.count)))
                switch random.next(below: 3) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: place)
                default: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
                }
            }
            _ = try? PairingGreeting(decoding: bytes)
            _ = try? PairingProof(decoding: bytes)
            _ = try? PairingWelcome(decoding: bytes)
            if case .plan(let plan)? = try? PairingMessage(decoding: bytes), plan.problem == nil {
                _ = PairFiles.resource(plan, sharedSecret: "s")
                _ = PairFiles.cluster(plan)
            }
            if case .survey(let survey)? = try? PairingMessage(decoding: bytes), survey.problem == nil {
                _ = try? Samples.plan(Samples.alpha, survey)
            }
        }
    }

    @Test("wrong tokens wait longer and longer, and at last end the set-up")
    func patience() {
        var wrong = WrongTokens()
        var waits: [Int?] = []
        for _ in 0..<WrongTokens.countMax { waits.append(wrong.note()) }
        #expect(waits == [1, 2, 3, 4, 5, 5, 5, 5, 5, nil])
    }
}

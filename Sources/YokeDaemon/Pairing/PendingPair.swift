internal import NIOCore
internal import Pairing
internal import Synchronization

/// A `yoke init` that waits for its other host, or serves it. Usable from any thread.
final class PendingPair: Sendable {
    private struct State {
        var channel: (any Channel)?
        /// A guest that proved itself is being served.
        var isServing = false
        var isOver = false
        var wrongTokens = WrongTokens()
        /// Connections that have not proved themselves.
        var strangers = 0
    }

    static let strangerCountMax = 8

    let resource: String
    let wish: InitRequest.Wish
    let disk: PairDisk
    let token: PairingToken
    let progress = SetupProgress()
    private let state = Mutex(State())

    init(resource: String, wish: InitRequest.Wish, disk: PairDisk, token: PairingToken) {
        self.resource = resource
        self.wish = wish
        self.disk = disk
        self.token = token
    }

    /// The volume's size: what was asked for, or that of the device.
    var byteCount: UInt64 { wish.byteCount ?? disk.byteCount & ~4095 }

    var isServing: Bool { state.withLock { $0.isServing } }
    var isOver: Bool { state.withLock { $0.isOver } }

    /// The socket that is listened on; closed with the end. False: the end has come already.
    func adopt(_ channel: any Channel) -> Bool {
        state.withLock { state in
            guard !state.isOver else { return false }
            state.channel = channel
            return true
        }
    }

    func admitStranger() -> Bool {
        state.withLock { state in
            guard !state.isOver, state.strangers < Self.strangerCountMax else { return false }
            state.strangers += 1
            return true
        }
    }

    func strangerLeft() { state.withLock { $0.strangers -= 1 } }

    /// Takes the only place; false when another has it.
    func beginServing() -> Bool {
        state.withLock { state in
            guard !state.isOver, !state.isServing else { return false }
            state.isServing = true
            return true
        }
    }

    func endServing() { state.withLock { $0.isServing = false } }

    /// Seconds until the answer; nil: give up.
    func noteWrongToken() -> Int? { state.withLock { $0.wrongTokens.note() } }

    enum Ending { case now, servingFirst }

    /// Stops listening and tells the followers. A guest that is served is not cut off, unless the end is its outcome.
    @discardableResult
    func end(_ status: Int32, _ text: String, evenIfServing: Bool = false) -> Ending {
        let channel = state.withLock { state -> (any Channel)?? in
            guard evenIfServing || !state.isServing else { return nil }
            state.isOver = true
            defer { state.channel = nil }
            return .some(state.channel)
        }
        guard let channel else { return .servingFirst }
        channel?.close(promise: nil)
        progress.finish(status, text)
        return .now
    }
}

/// The set-ups of a daemon, by the name of their resource.
final class PairRegistry: Sendable {
    private struct State {
        var pairs: [String: PendingPair] = [:]
        /// Names that this host joins as a guest.
        var joining: Set<String> = []
    }

    private let state = Mutex(State())

    func find(_ resource: String) -> PendingPair? { state.withLock { $0.pairs[resource] } }

    var all: [PendingPair] { state.withLock { state in state.pairs.values.sorted { $0.resource < $1.resource } } }

    /// False when the name is being set up.
    func add(_ pair: PendingPair) -> Bool {
        state.withLock { state in
            guard state.pairs[pair.resource] == nil, !state.joining.contains(pair.resource) else { return false }
            state.pairs[pair.resource] = pair
            return true
        }
    }

    func remove(_ pair: PendingPair) {
        state.withLock { state in
            if state.pairs[pair.resource] === pair { state.pairs[pair.resource] = nil }
        }
    }

    func beginJoin(_ resource: String) -> Bool {
        state.withLock { state in
            guard state.pairs[resource] == nil else { return false }
            return state.joining.insert(resource).inserted
        }
    }

    func endJoin(_ resource: String) {
        state.withLock { state in _ = state.joining.remove(resource) }
    }
}

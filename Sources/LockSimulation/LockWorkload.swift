internal import EngineKit
package import EngineSimulation
internal import LockManager
internal import O2Layout

/// Users of locks on every host of a simulation: they lock, work, keep what they have until somebody wants it, give it
/// up or back. What they see goes to a ``LockJudge``.
package final class LockWorkload {
    package let judge: LockJudge
    let environment: VirtualEnvironment
    let names: [ResourceName]
    private let usersPerHost: Int
    /// Between two uses of locks, at most.
    let restMilliseconds: UInt64
    private var users: [Int: LockUser] = [:]
    private var lastUser = 0
    /// Nobody asks for more; what is asked for must be served, and who has something gives it up when it is wanted.
    package private(set) var isClosing = false
    /// Everything is given back.
    package private(set) var isEnding = false

    package init(
        environment: VirtualEnvironment, judge: LockJudge, nameCount: Int, usersPerHost: Int = 2,
        restMilliseconds: UInt64 = 5
    ) {
        self.environment = environment
        self.judge = judge
        self.usersPerHost = usersPerHost
        self.restMilliseconds = restMilliseconds
        names = (0..<nameCount).map { ResourceName([UInt8(ascii: "n")] + Array("\($0)".utf8))! }
    }

    /// Users on hosts that run, or whose programs still do.
    package var runningUsers: Int { users.values.reduce(0) { $0 + ($1.isLost ? 0 : 1) } }
    /// Requests that wait, in words.
    package var waiting: [String] {
        users.sorted { $0.key < $1.key }.filter { !$0.value.isLost }.compactMap { $0.value.waitsFor }
    }

    /// The locks that users have, for an audit.
    func locks(of host: any LockHost) -> [DomainLock] {
        users.sorted { $0.key < $1.key }.filter { $0.value.host === host }.compactMap { $0.value.lock }
    }

    package func startUsers(on host: any LockHost) {
        judge.noteJoin(of: host)
        for _ in 0..<usersPerHost {
            lastUser += 1
            let number = lastUser
            let user = LockUser(self, host)
            users[number] = user
            host.environment.spawn { [self] in
                await user.run()
                users[number] = nil
            }
        }
    }

    package func close() {
        isClosing = true
        wakeAll { _ in true }
    }

    package func end() {
        isClosing = true
        isEnding = true
        wakeAll { _ in true }
    }

    /// The users of a host that leaves give everything back.
    package func endUsers(of host: any LockHost) {
        wakeAll { user in
            guard user.host === host else { return false }
            user.mustEnd = true
            return true
        }
    }

    package func hasUsers(on host: any LockHost) -> Bool { users.values.contains { $0.host === host } }

    private func wakeAll(where isMeant: (LockUser) -> Bool) {
        for (_, user) in users.sorted(by: { $0.key < $1.key }) where isMeant(user) { user.wake() }
    }
}

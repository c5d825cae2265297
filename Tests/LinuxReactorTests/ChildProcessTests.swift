internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import Testing

@Suite("Child processes")
struct ChildProcessTests {
    @Test(
        "how a child ended is told",
        arguments: Reactor.Backend.tested,
        [
            ("exit 0", ChildExit.exited(status: 0)),
            ("exit 42", .exited(status: 42)),
            ("kill -TERM $$", .killed(signal: SIGTERM)),
            // Signals that the reactor blocks reach the child.
            ("trap 'exit 5' USR1; kill -USR1 $$; exit 6", .exited(status: 5)),
            // Its input is empty.
            ("cat && exit 3", .exited(status: 3)),
        ])
    func exits(backend: Reactor.Backend, expectation: (command: String, exit: ChildExit)) async throws {
        let test = try TestReactor(backend)
        #expect(try await test.shell(expectation.command) == expectation.exit)
    }

    @Test("a program that does not exist was not started")
    func notStarted() async throws {
        let test = try TestReactor(.epoll)
        let exit = try await test.run { (reactor, outcome: Outcome<ChildExit>) in
            let command = ChildCommand(arguments: ["/nonexistent/handler"], environment: [])
            reactor.spawn(command) { outcome.finish($0) }
        }
        #expect(exit == .notStarted(errno: ENOENT))
    }

    @Test("environment and working directory reach the child, and no descriptor of ours")
    func surroundings() async throws {
        let test = try TestReactor(.epoll)
        let exit = try await test.run { (reactor, outcome: Outcome<ChildExit>) in
            let script = """
                test "$DRBD_RESOURCE $(pwd)" = "r0 /usr" || exit 1
                test "$(env | grep -c ^HOME=)" = 0 || exit 2
                test "$(ls /proc/self/fd | wc -l)" -le 5 || exit 3
                """
            let command = ChildCommand(
                arguments: ["sh", "-c", script], environment: ["DRBD_RESOURCE=r0", "PATH=/usr/bin:/bin"],
                workingDirectory: "/usr")
            reactor.spawn(command) { outcome.finish($0) }
        }
        #expect(exit == .exited(status: 0))
    }

    @Test("a signal ends a child, also one that was not running yet")
    func signal() async throws {
        let test = try TestReactor(.epoll)
        let exit = try await test.run { (reactor, outcome: Outcome<ChildExit>) in
            let command = ChildCommand(arguments: ["sleep", "1000"], environment: ["PATH=/usr/bin:/bin"])
            reactor.spawn(command) { outcome.finish($0) }.send(signal: SIGKILL)
        }
        #expect(exit == .killed(signal: SIGKILL))
    }
}

internal import EngineKit
internal import Glibc
internal import LinuxReactor

extension TestReactor {
    /// Runs a command by the shell and waits for its end.
    func shell(_ command: String) async throws -> ChildExit {
        try await run { (reactor, outcome: Outcome<ChildExit>) in
            let child = ChildCommand(
                arguments: ["/bin/sh", "-c", command], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
            reactor.spawn(child) { outcome.finish($0) }
        }
    }

    /// Opens a disk as soon as nobody claims it any more.
    func waitUntilOpen(_ path: String) async throws -> DiskFile {
        let disk = try await run { (reactor, outcome: Outcome<Confined<DiskFile>>) in
            func attempt() {
                do throws(SystemError) {
                    outcome.finish(Confined(try DiskFile.open(path: path, access: .readWrite)))
                } catch {
                    guard error.code == EBUSY else { return outcome.fail(error) }
                    reactor.addTimer(at: reactor.now + .milliseconds(1)) { attempt() }
                }
            }
            attempt()
        }
        return disk.value
    }

    /// Calls `body` with a loop device on a file, and removes the device.
    func withLoopDevice(
        on path: String, blockSize: Int, _ body: (_ device: String) async throws -> Void
    ) async throws {
        let answer = "\(path).device"
        let made = try await shell(
            "losetup --find --show --direct-io=on --sector-size \(blockSize) \(path) > \(answer)")
        guard made == .exited(status: 0) else { throw TestFailure("losetup: \(made)") }
        let descriptor = open(answer, O_RDONLY)
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(descriptor, &bytes, bytes.count)
        close(descriptor)
        let device = String(decoding: bytes.prefix(max(0, count)).prefix { $0 > 0x20 }, as: UTF8.self)
        let failure: (any Error)?
        do {
            try await body(device)
            failure = nil
        } catch {
            failure = error
        }
        let removed = try await shell("losetup --detach \(device)")
        if let failure { throw failure }
        guard removed == .exited(status: 0) else { throw TestFailure("losetup --detach: \(removed)") }
    }
}

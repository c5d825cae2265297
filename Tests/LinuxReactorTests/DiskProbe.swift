internal import EngineKit
internal import LinuxReactor

/// Remembers what a disk reported.
final class DiskProbe: DiskHandler {
    struct Completion: Equatable, Sendable {
        var token: UInt64
        var errno: Int32
    }

    private(set) var completions: [Completion] = []
    /// Called after each completion.
    var onCompletion: (Completion) -> Void = { _ in }

    func diskCompleted(_ disk: DiskFile, token: UInt64, errno: Int32) {
        let completion = Completion(token: token, errno: errno)
        completions.append(completion)
        onCompletion(completion)
    }
}

extension TestReactor {
    /// Submits one request and waits for its error number.
    func complete(
        _ kind: DiskRequest.Kind, _ disk: DiskFile, at offset: UInt64 = 0, byteCount: Int = 0, data: IOSlice? = nil
    ) async throws -> Int32 {
        let data = Confined(data)
        return try await run { (reactor, outcome: Outcome<Int32>) in
            let probe = DiskProbe()
            probe.onCompletion = { outcome.finish($0.errno) }
            disk.handler = probe
            reactor.submit(
                DiskRequest(token: 1, kind: kind, offset: offset, byteCount: byteCount, data: data.value), to: disk)
        }
    }

    func write(
        _ byte: UInt8, _ disk: DiskFile, at offset: UInt64, byteCount: Int, flushBefore: Bool = false,
        forceUnitAccess: Bool = false
    ) async throws -> Int32 {
        try await complete(
            .write(flushBefore: flushBefore, forceUnitAccess: forceUnitAccess), disk, at: offset,
            byteCount: byteCount, data: .filledSlice(byte, byteCount))
    }

    /// The byte that the whole range consists of, or nil.
    func readUniform(_ disk: DiskFile, at offset: UInt64, byteCount: Int) async throws -> UInt8? {
        let slice = IOBuffer.filled(0xee, byteCount: byteCount)
        let errno = try await complete(.read, disk, at: offset, byteCount: byteCount, data: slice)
        guard errno == 0 else { throw TestFailure("read failed: \(SystemError.text(of: errno))") }
        return slice.uniformByte
    }
}

extension Optional where Wrapped == IOSlice {
    static func filledSlice(_ byte: UInt8, _ byteCount: Int) -> IOSlice? {
        IOBuffer.filled(byte, byteCount: byteCount)
    }
}

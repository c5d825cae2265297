internal import EngineKit

/// Feeds arbitrary bytes to a session, as a fuzzer wants it: no outcome is wrong but a trap.
///
/// The first byte chooses the way: bit 0 begins with transmission instead of the handshake, bit 1 gives the bytes
/// one by one, bit 2 lets the client read no replies, bit 3 fails all requests, bit 4 completes requests only when
/// the session takes no more.
package enum NBDFuzzEntry {
    private final class OneExport: NBDExportDirectory {
        let export = NBDExport(
            name: "r0", description: "fuzzed", sizeBytes: 1 << 20, zeroesAreFast: true, reportsAllocation: true)

        var nbdExports: [NBDExport] { [export] }

        func nbdExport(named name: String) -> NBDExportAnswer {
            switch name {
            case "", "r0": .export(export)
            case "r1": .refused("r1 is Secondary on this host")
            default: .unknown
            }
        }
    }

    package static func run(_ input: UnsafeRawBufferPointer) {
        guard let mode = input.first else { return }
        var limits = NBDSessionLimits()
        limits.requestsInFlightMax = 8
        limits.bytesInFlightMax = 256 << 10
        let directory = OneExport()
        let session = NBDSession(peer: "fuzz", directory: directory, pool: IOBufferPool(), limits: limits)
        var actions: [NBDAction] = []
        if mode & 1 != 0 {
            session.startTransmission(of: directory.export, into: &actions)
        } else {
            session.start(now: .zero)
        }
        var position = 1
        while position < input.count {
            let window = session.receiveWindow()
            if window.count > 0 {
                let count = min(input.count - position, mode & 2 != 0 ? 1 : window.count)
                window.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[position..<position + count]))
                position += count
                session.received(count, now: .zero, into: &actions)
            }
            if mode & 16 == 0 || window.isEmpty { complete(&actions, session, fails: mode & 8 != 0) }
            if mode & 4 == 0 { session.sent(session.output.byteCount, into: &actions) }
            if window.isEmpty && session.receiveWindow().isEmpty { break }
        }
        session.connectionLost(into: &actions)
        complete(&actions, session, fails: false)
        precondition(session.requestsInFlight == 0 && session.isClosed, "the session leaves something behind")
    }

    private static func complete(_ actions: inout [NBDAction], _ session: NBDSession, fails: Bool) {
        let status: Int32 = fails ? 5 : 0
        while !actions.isEmpty {
            let batch = actions
            actions.removeAll()
            for action in batch {
                switch action {
                case .read(let id, _, let slice):
                    slice.bytes.initializeMemory(as: UInt8.self, repeating: 0)
                    session.completed(id, status: status, into: &actions)
                case .write(let id, _, _, _), .flush(let id), .trim(let id, _, _, _),
                    .writeZeroes(let id, _, _, _, _):
                    session.completed(id, status: status, into: &actions)
                case .blockStatus(let id, _, _):
                    session.completed(id, extents: [], into: &actions)
                case .opened, .resumeReading, .close, .log:
                    break
                }
            }
        }
    }
}

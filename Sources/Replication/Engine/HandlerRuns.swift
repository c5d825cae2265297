internal import DRBDLayout
internal import EngineKit

/// A handler under way.
struct HandlerRun {
    let id: HandlerRunID
    let name: String
    let volume: VolumeNumber?
    let body: (ReplicationEngine, Int32) -> Void
}

// Handlers: programs of the administrator that are told of what happens and in part asked. There is no time limit;
// everything that does not wait for the answer goes on. Spec: drbd-disk-and-state 17.

extension ReplicationEngine {
    /// Runs a handler after all dirty superblocks were written; `body` gets its exit status.
    func runHandler(
        _ handler: String, _ volume: Volume?, _ body: @escaping (ReplicationEngine, Int32) -> Void
    ) {
        var left = volumes.count
        guard left > 0 else {
            startHandler(handler, volume, body)
            return
        }
        for dirty in volumes {
            syncMetadata(dirty) { engine in
                left -= 1
                if left == 0 { engine.startHandler(handler, volume, body) }
            }
        }
    }

    private func startHandler(
        _ handler: String, _ volume: Volume?, _ body: @escaping (ReplicationEngine, Int32) -> Void
    ) {
        lastHandlerRunID += 1
        let id = HandlerRunID(lastHandlerRunID)
        handlerRuns.append(HandlerRun(id: id, name: handler, volume: volume?.number, body: body))
        log(.info, "helper command: \(commandText(handler, volume?.number))")
        actions.append(.changed(.handlerCalled(name: handler, volume: volume?.number)))
        actions.append(.runHandler(HandlerCall(id: id, name: handler, volume: volume?.number)))
    }

    private func commandText(_ handler: String, _ volume: VolumeNumber?) -> String {
        volume.map { "\(handler) \(name)/\($0)" } ?? "\(handler) \(name)"
    }

    /// Runs a handler whose answer does not matter as a step of `lane`.
    func runHandler(_ handler: String, _ volume: Volume?, _ lane: SerialWork.Lane) -> SerialWork.Outcome {
        let ticket = ticket(lane)
        runHandler(handler, volume) { engine, _ in engine.resume(ticket) }
        return .waits
    }

    func handlerExited(_ id: HandlerRunID, status: Int32) {
        guard let place = handlerRuns.firstIndex(where: { $0.id == id }) else { return }
        let run = handlerRuns.remove(at: place)
        log(
            .info,
            "helper command: \(commandText(run.name, run.volume)) exit code \(status) "
                + "(0x\(String(UInt32(bitPattern: status) << 8, radix: 16)))")
        actions.append(.changed(.handlerAnswered(name: run.name, volume: run.volume, status: status)))
        run.body(self, status)
        changed()
    }
}

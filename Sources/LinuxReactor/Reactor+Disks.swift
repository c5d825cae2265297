internal import EngineKit
internal import Glibc

// The way of disk operations through a reactor.
extension Reactor {
    /// Begins an operation at the end of the round; its completion is told in a later round.
    ///
    /// Refused with EIO behind the end of the disk, with EROFS on a read-only disk, with ENOBUFS when 65,536 are under
    /// way. Requests of one disk are not ordered among each other: what must come after something is submitted after
    /// its completion.
    package func submit(_ request: DiskRequest, to disk: DiskFile) {
        preconditionOnThread()
        let code = DiskOperations.check(request, disk)
        guard code == 0, let call = operations.begin(request, disk) else {
            refused.append((disk, request.token, code == 0 ? ENOBUFS : code))
            return
        }
        queue(call)
    }

    /// Ends the use of a disk: no completion follows. The claim on it is given back when the last operation is done and
    /// the caller has dropped the object.
    package func close(_ disk: DiskFile) {
        preconditionOnThread()
        disk.isClosed = true
        disk.handler = nil
    }

    private func queue(_ call: DiskCall) {
        if call.isImmediate {
            immediateCalls.append(call)
        } else if let ring, Ring.canMake(call.opcode) {
            ring.add(call)
        } else {
            workerCalls.append(call)
        }
    }

    /// Makes immediate calls, after the sends of the round, and not so many that the events of the next one wait long.
    func makeImmediateCalls() {
        guard firstImmediateCall < immediateCalls.count else { return }
        var budget = 1 << 20
        while firstImmediateCall < immediateCalls.count && budget > 0 {
            let call = immediateCalls[firstImmediateCall]
            firstImmediateCall += 1
            budget -= call.byteCount
            diskResults.append(DiskCallResult(cookie: call.cookie, value: call.perform()))
        }
        if firstImmediateCall == immediateCalls.count {
            immediateCalls.removeAll(keepingCapacity: true)
            firstImmediateCall = 0
        } else if firstImmediateCall > 1024 {
            immediateCalls.removeFirst(firstImmediateCall)
            firstImmediateCall = 0
        }
    }

    func flushWorkerCalls() {
        guard !workerCalls.isEmpty else { return }
        workers.add(workerCalls)
        workerCalls.removeAll(keepingCapacity: true)
    }

    /// Tells what ended, and goes on with what has further steps.
    func tellDisks() {
        if !refused.isEmpty {
            let told = refused
            refused.removeAll(keepingCapacity: true)
            for entry in told where !entry.disk.isClosed {
                entry.disk.handler?.diskCompleted(entry.disk, token: entry.token, errno: entry.errno)
            }
        }
        var index = 0
        while index < diskResults.count {
            let result = diskResults[index]
            index += 1
            switch operations.take(result) {
            case .next(let call):
                queue(call)
            case .completed(let disk, let token, let errno):
                if !disk.isClosed && !isEnding { disk.handler?.diskCompleted(disk, token: token, errno: errno) }
            }
        }
        diskResults.removeAll(keepingCapacity: true)
    }
}

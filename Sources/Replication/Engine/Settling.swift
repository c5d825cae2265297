internal import EngineKit

// The end of each input: what became possible is done, until nothing more follows from it.

extension ReplicationEngine {
    /// Runs steps and retries what waited until nothing changes any more, then hands out what waits to be sent.
    func settle() {
        repeat {
            needsSettling = false
            runSteps()
            retryWaitingRequests()
            resumeReceiver()
            checkConditions()
            // Last, so that all extents that became wanted share one transaction.
            if !needsSettling { startActivityLogTransactions() }
        } while needsSettling
        sendDueBarrier()
        finishFlushes()
        emitTransmits()
    }

    /// Something changed that waiting requests, packets or commands should look at.
    func changed() {
        needsSettling = true
    }

    private func runSteps() {
        while stepsPending > 0 {
            if let step = worker.begin() {
                if step(self) == .done { worker.end() }
            } else if let step = receiver.begin() {
                if step(self) == .done { receiver.end() }
            } else if let step = commands.begin() {
                if step(self) == .done { commands.end() }
            } else {
                return
            }
            stepsPending -= 1
            needsSettling = true
        }
    }

    /// Forgets the steps of a lane, also the one that waits.
    func dropSteps(_ lane: SerialWork.Lane) {
        switch lane {
        case .worker:
            stepsPending -= worker.count
            worker.removeAll()
        case .receiver:
            stepsPending -= receiver.count
            receiver.removeAll()
        case .commands:
            stepsPending -= commands.count
            commands.removeAll()
        }
    }

    /// Lets the step that holds `ticket` be over.
    func resume(_ ticket: SerialWork.Ticket) {
        let isResumed: Bool
        switch ticket.lane {
        case .worker: isResumed = worker.resume(ticket)
        case .receiver: isResumed = receiver.resume(ticket)
        case .commands: isResumed = commands.resume(ticket)
        }
        if isResumed { changed() }
    }

    /// The ticket of the step that runs now in `lane`.
    func ticket(_ lane: SerialWork.Lane) -> SerialWork.Ticket {
        switch lane {
        case .worker: worker.ticket
        case .receiver: receiver.ticket
        case .commands: commands.ticket
        }
    }

    /// Appends a step to a lane.
    func enqueue(_ lane: SerialWork.Lane, _ step: @escaping SerialWork.Step) {
        switch lane {
        case .worker: worker.append(step)
        case .receiver: receiver.append(step)
        case .commands: commands.append(step)
        }
        stepsPending += 1
        changed()
    }
}

/// Something that somebody waits for without an event of its own.
struct ConditionWait {
    /// True: it is so, forget this wait. Runs what follows itself.
    let isOver: (ReplicationEngine) -> Bool
}

extension ReplicationEngine {
    /// Calls `body` once `condition` holds: now, or after one of the following changes.
    func when(_ condition: @escaping (ReplicationEngine) -> Bool, _ body: @escaping (ReplicationEngine) -> Void) {
        if condition(self) {
            body(self)
            return
        }
        conditionWaits.append(
            ConditionWait { engine in
                guard condition(engine) else { return false }
                body(engine)
                return true
            })
    }

    private func checkConditions() {
        guard !conditionWaits.isEmpty else { return }
        let waits = conditionWaits
        conditionWaits.removeAll()
        var kept: [ConditionWait] = []
        for wait in waits {
            if wait.isOver(self) {
                changed()
            } else {
                kept.append(wait)
            }
        }
        // What was added by the bodies comes after those that still wait.
        conditionWaits = kept + conditionWaits
    }

    /// Runs `body` after `delay`.
    func after(_ delay: Duration, _ body: @escaping (ReplicationEngine) -> Void) {
        timers.arm(at: now + delay, body)
    }
}

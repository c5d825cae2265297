internal import CYoke
internal import EngineKit

// One round of the loop; its order is described at ``Reactor``.
extension Reactor {
    func wait() {
        let limit = waitLimit()
        if limit != 0 && options.busyPoll > .zero {
            let end = now + options.busyPoll
            repeat {
                poll(nanoseconds: 0)
                if !ready.isEmpty || !diskResults.isEmpty { return }
            } while now < end
            return poll(nanoseconds: waitLimit())
        }
        poll(nanoseconds: limit)
    }

    /// Asks the kernel once: fills `ready` and `diskResults`.
    private func poll(nanoseconds: Int64) {
        if let ring {
            ring.wait(nanoseconds: nanoseconds, events: &events, results: &diskResults)
            for cookie in ring.takeEndedPolls() {
                if let source = readiness.source(cookie) { ring.addPoll(source.descriptor, cookie) }
            }
        } else {
            epoll.wait(nanoseconds: nanoseconds, into: &events)
        }
        for event in events { note(event) }
        events.removeAll(keepingCapacity: true)
    }

    private func note(_ event: PolledEvent) {
        guard let source = readiness.source(event.cookie) else { return }
        if event.events & (YOKE_EPOLL_ERROR | YOKE_EPOLL_HANG_UP) != 0 {
            source.hasHungUp = true
            source.isReadable = true
            source.isWritable = true
        }
        if event.events & YOKE_EPOLL_PEER_HANG_UP != 0 {
            source.hasHungUp = true
            source.isReadable = true
        }
        if event.events & YOKE_EPOLL_IN != 0 { source.isReadable = true }
        if event.events & YOKE_EPOLL_OUT != 0 { source.isWritable = true }
        if source.isWritable && source.isAwaitingOutput {
            source.isAwaitingOutput = false
            if ring == nil { epoll.setOutput(false, source.descriptor, event.cookie) }
        }
        queueIfReady(source)
    }

    /// Nanoseconds until something is due; 0 when something is there already, -1 for no limit.
    private func waitLimit() -> Int64 {
        if !ready.isEmpty || !refused.isEmpty || !executorJobs.isEmpty || !diskResults.isEmpty
            || firstImmediateCall < immediateCalls.count
        {
            return 0
        }
        var next = deadline
        if let timer = timers.nextDeadline { next = min(next ?? timer, timer) }
        guard let next else { return -1 }
        return Int64(clamping: (next - now).nanosecondsClamped)
    }

    func tellEvents() {
        tellDisks()
        tellSources()
        runMail()
        tellTimers()
        runExecutorJobs()
    }

    private func tellSources() {
        swap(&ready, &delivering)
        for source in delivering {
            source.isQueued = false
            guard source.wantsDelivery else { continue }
            source.deliver()
            queueIfReady(source)
        }
        delivering.removeAll(keepingCapacity: true)
    }

    private func runMail() {
        guard !mail.jobs.isEmpty || !mail.diskResults.isEmpty || !mail.executorJobs.isEmpty else { return }
        diskResults.append(contentsOf: mail.diskResults)
        if !mail.diskResults.isEmpty { tellDisks() }
        executorJobs.append(contentsOf: mail.executorJobs)
        for job in mail.jobs { job() }
        mail.removeAll()
    }

    private func tellTimers() {
        guard deadline != nil || timers.nextDeadline != nil else { return }
        let time = now
        let last = timers.sequence
        while let action = timers.takeDue(now: time, last: last) { action() }
        if let deadline, deadline <= time {
            self.deadline = nil
            owner?.deadlineReached(self)
        }
    }

    /// Runs the jobs that wait now; those they enqueue come in the next round, so that events get their turn.
    private func runExecutorJobs() {
        guard !executorJobs.isEmpty else { return }
        swap(&executorJobs, &runningJobs)
        for job in runningJobs {
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
        runningJobs.removeAll(keepingCapacity: true)
    }

    /// Takes what other threads have left.
    func takeMail() {
        mailbox.take(exchanging: &mail)
    }

    func enqueueLocally(_ job: UnownedJob) {
        executorJobs.append(job)
    }
}

/// Has the reactor look into its mailbox.
final class MailboxSource: ReadinessSource {
    private unowned let reactor: Reactor

    init(descriptor: Int32, reactor: Reactor) {
        self.reactor = reactor
        super.init(descriptor: descriptor)
    }

    override var wantsDelivery: Bool { isReadable }

    override func deliver() {
        isReadable = false
        reactor.takeMail()
    }
}

// The reactor as an executor: tasks that prefer it run on its thread, in order, one at a time.

extension Reactor: SerialExecutor, TaskExecutor {
    /// On the reactor's thread this costs an append to a list, elsewhere a lock and perhaps a wake-up.
    package func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        if isOnThread {
            enqueueLocally(unowned)
        } else {
            mailbox.post(unowned)
        }
    }

    package func checkIsolated() {
        precondition(isOnThread, "code of a reactor runs on a thread that is not the reactor's")
    }

    package func isIsolatingCurrentContext() -> Bool? { isOnThread }
}

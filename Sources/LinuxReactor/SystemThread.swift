internal import CYoke
internal import Glibc

/// A thread of the system that runs one closure, with all signals blocked: they belong to the main thread.
package final class SystemThread: @unchecked Sendable {
    // Written once before any other thread can see the object.
    private var handle: pthread_t = 0

    /// Starts a thread. Errors: EAGAIN when the system has no more threads.
    ///
    /// - Parameter name: shown by `ps -L` and `top -H`; cut to 15 bytes.
    package static func start(
        name: String, _ body: @escaping @Sendable () -> Void
    ) throws(SystemError) -> SystemThread {
        let thread = SystemThread()
        let context = Unmanaged.passRetained(StartContext(name: name, body: body))
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        let status = pthread_create(
            &thread.handle, nil,
            { pointer in
                guard let pointer else { return nil }
                let context = Unmanaged<StartContext>.fromOpaque(pointer).takeRetainedValue()
                pthread_setname_np(pthread_self(), String(decoding: context.name.utf8.prefix(15), as: UTF8.self))
                context.body()
                return nil
            }, context.toOpaque())
        pthread_sigmask(SIG_SETMASK, &before, nil)
        guard status == 0 else {
            context.release()
            throw SystemError(operation: "pthread_create \(name)", code: status)
        }
        return thread
    }

    /// Waits for the end of the thread. Call it once.
    package func join() {
        pthread_join(handle, nil)
    }

    private final class StartContext {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}

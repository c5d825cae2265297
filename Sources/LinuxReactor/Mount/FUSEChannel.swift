internal import CYoke
internal import EngineKit
internal import Glibc

/// The server's side of a ``FUSEChannel``. Called on the reactor's thread.
package protocol FUSEChannelHandler: AnyObject {
    /// Where the next request shall be read to; empty: stop until ``FUSEChannel/resume()``.
    func receiveWindow() -> UnsafeMutableRawBufferPointer
    /// One request was read into the window.
    func received(_ count: Int)
    /// The kernel ended the connection: unmounted, or aborted. Comes once.
    func channelLost()
}

/// `/dev/fuse` of one mount on a reactor: requests in, replies and notifications out.
///
/// A notification may block until the server has answered other requests, so each is written by a thread of its own,
/// and there are always enough of them: a full pool would be a hidden deadlock. Spec: fuse 15.
package final class FUSEChannel {
    /// Requests in one round before other descriptors get their turn.
    private static let requestsPerRoundMax = 32
    private static let notifierThreadsMax = 64

    private let descriptor: Int32
    private let reactor: Reactor
    private unowned let handler: any FUSEChannelHandler
    private var watch: DescriptorWatch?
    private var notifiers: WorkerPool?
    private var notifications: [UInt64: (Int32) -> Void] = [:]
    private var lastNotification: UInt64 = 0
    private var isLost = false
    private var isDescriptorClosed = false

    /// - Parameter descriptor: of ``FUSEMount``; closed by the channel when it ends.
    package init(descriptor: Int32, reactor: Reactor, handler: any FUSEChannelHandler) {
        self.descriptor = descriptor
        self.reactor = reactor
        self.handler = handler
    }

    package func start() throws(SystemError) {
        watch = try reactor.watch(descriptor: descriptor, handler: self)
    }

    package func resume() {
        watch?.resume()
    }

    /// Writes one reply; false when the kernel does not wait for it any more.
    package func write(_ head: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer) -> Bool {
        guard !isDescriptorClosed else { return false }
        return withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { pieces in
            pieces[0] = iovec(iov_base: UnsafeMutableRawPointer(mutating: head.baseAddress), iov_len: head.count)
            pieces[1] = iovec(
                iov_base: UnsafeMutableRawPointer(mutating: payload.baseAddress), iov_len: payload.count)
            return writev(descriptor, pieces.baseAddress, payload.isEmpty ? 1 : 2) >= 0
        }
    }

    /// Writes a notification on another thread; `completion` gets 0 or an errno.
    package func notify(_ bytes: [UInt8], _ completion: @escaping (Int32) -> Void) {
        guard !isLost else { return completion(0) }
        lastNotification += 1
        let number = lastNotification
        notifications[number] = completion
        let pool =
            notifiers
            ?? WorkerPool(
                name: "fuse-notify", threadsMax: Self.notifierThreadsMax, jobsMax: 1 << 16, mailbox: reactor.mailbox)
        notifiers = pool
        let parcel = ChannelParcel(channel: self)
        let (descriptor, mailbox) = (descriptor, reactor.mailbox)
        let isAccepted = pool.add {
            let status = bytes.withUnsafeBytes { piece in
                retryingInterrupted { Glibc.write(descriptor, piece.baseAddress, piece.count) }
            }
            _ = mailbox.post { parcel.channel.notified(number, status < 0 ? Int32(-status) : 0) }
        }
        if !isAccepted { notified(number, EAGAIN) }
    }

    private func notified(_ number: UInt64, _ errno: Int32) {
        notifications.removeValue(forKey: number)?(errno)
        closeIfIdle()
    }

    /// Ends the connection from this side: who uses the mount gets errors. ``FUSEChannelHandler/channelLost()`` follows
    /// at once.
    package func abort() {
        lost()
    }

    private func lost() {
        guard !isLost else { return }
        isLost = true
        if let watch { reactor.unwatch(watch) }
        watch = nil
        handler.channelLost()
        closeIfIdle()
    }

    /// The descriptor's number must not get another meaning while a thread may still write to it.
    private func closeIfIdle() {
        guard isLost, notifications.isEmpty, !isDescriptorClosed else { return }
        isDescriptorClosed = true
        close(descriptor)
        guard let notifiers else { return }
        self.notifiers = nil
        // Joins the threads, which are idle.
        if !reactor.offload({ notifiers.shutDown() }, completion: { _ in }) { notifiers.shutDown() }
    }
}

extension FUSEChannel: DescriptorHandler {
    package func descriptorReadable(_ watch: DescriptorWatch) {
        for _ in 0..<Self.requestsPerRoundMax {
            switch takeRequest() {
            case .taken: continue
            case .none: return watch.exhausted()
            case .noRoom: return watch.pause()
            case .lost: return lost()
            }
        }
    }

    /// Takes all requests that the kernel has ready now, as far as there is room.
    package func drain() {
        for _ in 0..<Self.requestsPerDrainMax {
            guard !isLost else { return }
            switch takeRequest() {
            case .taken: continue
            case .none, .noRoom: return
            case .lost: return lost()
            }
        }
    }

    private static let requestsPerDrainMax = 1 << 16

    private enum Taken {
        case taken, none, noRoom, lost
    }

    private func takeRequest() -> Taken {
        while true {
            let window = handler.receiveWindow()
            guard !window.isEmpty else { return .noRoom }
            let count = read(descriptor, window.baseAddress, window.count)
            if count > 0 {
                handler.received(count)
                return .taken
            }
            switch errno {
            case EAGAIN: return .none
            // The request was taken back.
            case EINTR, ENOENT: continue
            default: return .lost
            }
        }
    }
}

/// `@unchecked Sendable`: only carried through a worker; used on the reactor's thread.
private struct ChannelParcel: @unchecked Sendable {
    let channel: FUSEChannel
}

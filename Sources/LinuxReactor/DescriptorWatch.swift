internal import CYoke

/// Told of the readiness of a ``DescriptorWatch``.
package protocol DescriptorHandler: AnyObject {
    /// Bytes may wait, or the other side hung up. Comes again in the next round unless
    /// ``DescriptorWatch/exhausted()`` was called.
    func descriptorReadable(_ watch: DescriptorWatch)
}

/// Watches a descriptor that is not a stream socket of the reactor: `/dev/fuse`, a pidfd, a pipe.
///
/// The descriptor must be non-blocking and stays the caller's: ``Reactor/unwatch(_:)`` does not close it.
package final class DescriptorWatch: ReadinessSource {
    /// Held until ``Reactor/unwatch(_:)``.
    package var handler: (any DescriptorHandler)?
    /// For the owner.
    package var tag: UInt64 = 0
    private var isPaused = false
    private unowned let reactor: Reactor

    init(descriptor: Int32, handler: any DescriptorHandler, reactor: Reactor) {
        self.handler = handler
        self.reactor = reactor
        super.init(descriptor: descriptor)
    }

    /// The watched descriptor.
    package var fileDescriptor: Int32 { descriptor }

    /// The last read would have blocked: do not call again before the kernel reports something new.
    package func exhausted() {
        isReadable = false
    }

    /// Stops telling the handler.
    package func pause() {
        isPaused = true
    }

    /// Goes on telling the handler, from the next round on.
    package func resume() {
        isPaused = false
        reactor.queueIfReady(self)
    }

    // Without a handler it is watched no more, and nobody would take what waits.
    override var wantsDelivery: Bool { isReadable && !isPaused && handler != nil }

    override func deliver() {
        handler?.descriptorReadable(self)
    }
}
